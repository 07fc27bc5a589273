"""What tests and lessons cost, in CPU-seconds: said at the end of each run."""

import os

import pytest

LONG = 5  # CPU-seconds; a test that costs more says why: @pytest.mark.slow("...")
LONG_LESSON = 60  # all cells together, as a lesson promises


def _used(item):
    """What this process, its children and the kernel of a lesson have used so far."""
    kernel = getattr(item.parent, "kernel", None)
    used = sum(os.times()[:4])
    if kernel and kernel.is_alive():
        import psutil  # of ipykernel

        used += sum(psutil.Process(kernel.km.provisioner.pid).cpu_times()[:4])
    return used


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Notes what has been used before a test."""
    item.used = _used(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts what a test cost beside its result."""
    report = yield
    # The last cell's teardown ends the kernel, and what that has used is gone.
    if call.when == ("call" if hasattr(item, "cell") else "teardown"):
        reason = next((mark.args[0] for mark in item.iter_markers("slow")), "")
        cost = _used(item) - item.used
        report.user_properties = [*report.user_properties, ("cost", (cost, reason))]
    return report


def pytest_terminal_summary(terminalreporter):
    """Says what the tests cost, and which are dear without a reason."""
    costs, reasons = {}, {}
    for report in sum(terminalreporter.stats.values(), []):
        for name, value in getattr(report, "user_properties", ()):
            if name == "cost":
                test = report.nodeid.partition(".ipynb::")
                test = "".join(test[:2]).removesuffix("::")  # all cells of a lesson
                costs[test] = costs.get(test, 0) + value[0]
                reasons[test] = value[1]
    total = sum(costs.values())
    terminalreporter.write_line(f"the tests cost {total / 60:.1f} CPU-minutes")
    for test, cost in sorted(costs.items(), key=lambda item: -item[1]):
        allowed = LONG_LESSON if test.endswith(".ipynb") else LONG
        if cost > allowed and not reasons[test]:
            terminalreporter.write_line(f"  {cost:.0f} CPU-seconds, why? {test}")
