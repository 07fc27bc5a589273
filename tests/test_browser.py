"""The widgets in a browser: keys, clicks and files in, other figures out.

Voila serves a page with widgets, Debian's Chromium shows it without a screen, Selenium
presses the keys. Nothing but this machine can be reached from that browser.
"""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER),
        reason="a browser is needed: apt-get install chromium chromium-driver",
    ),
]

PAGE = """\
import keras
import numpy as np

from cnnkit.explorer import widgets

keras.utils.set_random_seed(0)
images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), "uint8")
model = keras.Sequential([
    keras.Input((12, 12, 3)),
    keras.layers.Rescaling(1 / 255, name="scaled"),
    keras.layers.Conv2D(4, 3, activation="relu", name="edges"),
    keras.layers.MaxPooling2D(name="smaller"),
    keras.layers.Flatten(name="row"),
    keras.layers.Dense(3, activation="softmax", name="answer"),
])
names = ["cat", "<img src=x onerror='window.hacked=1'>", "止まれ"]
grey = images[0].mean(axis=-1)
display(widgets.convolution_step(grey, np.array([[1, 0, -1]] * 3), row=1, column=2))
display(widgets.overview(model, images, names))
"""
FIGURES = "img[src^='data:image/png']"


def until(condition, seconds=20):
    """Waits until a function returns something true, and returns that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.05)
    return found


@contextmanager
def started(command, folder):
    """Runs a server, and ends it and all that it started, whatever happens."""
    log = Path(folder, "log.txt")
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=file, start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)  # it takes its kernels along
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # kernels see that it is gone
            process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def chromium():
    """A browser that can reach nothing but this machine."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=1400,1800",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ]:  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    try:
        browser.set_page_load_timeout(60)
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser with the page, when all figures are there."""
    folder, port = tmp_path_factory.mktemp("page"), free_port()
    cell = nbformat.v4.new_code_cell(PAGE)
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "page.ipynb")
    command = [sys.executable, "-m", "voila", "page.ipynb", "--no-browser"]
    command += [f"--port={port}", "--Voila.ip=127.0.0.1", "--show_tracebacks=True"]
    with started(command, folder) as (voila, log), chromium() as browser:
        until(lambda: b"running at" in log.read_bytes() or voila.poll(), 60)
        assert voila.poll() is None, log.read_text()
        browser.get(f"http://127.0.0.1:{port}/")
        until(lambda: len(sources(browser)) == 3 or "Error" in text(browser), 90)
        assert len(sources(browser)) == 3, text(browser)
        yield browser


def text(page):
    return page.find_element(By.TAG_NAME, "body").text


def sources(page):
    """The figures of the page, from top to bottom, and their words."""
    return page.execute_script(
        f'return [...document.querySelectorAll("{FIGURES}")]'
        ".map(image => [image.src, image.alt, image.complete && image.naturalWidth])"
    )


def changed(page, number, act):
    """Does something, waits until a figure is another, and returns its words."""
    before = sources(page)[number][0]
    act()
    until(lambda: len(now := sources(page)) == 3 and now[number][0] != before)
    until(lambda: sources(page)[number][2])  # it is a picture that can be drawn
    return sources(page)[number][1]


def control(page, label, number=0):
    """The part of a control that takes the keys, by the words beside or on it."""
    xpath = (
        f"//label[text()='{label}']/..//*[contains(@class, 'noUi-handle') or "
        f"self::select] | //button[contains(., '{label}')]"
    )
    return page.find_elements(By.XPATH, xpath)[number]


def png(colour, size=(20, 15)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_arrow_keys_on_a_slider_move_the_window(page):
    row = control(page, "row")
    words = changed(page, 0, lambda: row.send_keys(Keys.ARROW_RIGHT))
    assert "row 2, column 2: " in words
    words = changed(page, 0, lambda: row.send_keys(Keys.HOME))
    assert "row 0, column 2: " in words


def test_play_moves_the_window_by_itself_until_it_is_pressed_again(page):
    play = control(page, "play")
    first = changed(page, 0, lambda: play.send_keys(Keys.SPACE))
    second = changed(page, 0, lambda: None)
    assert first != second
    assert control(page, "stop") == play
    play.send_keys(Keys.SPACE)
    until(lambda: control(page, "play") == play)
    time.sleep(0.8)  # what was on its way has come
    still = sources(page)[0]
    time.sleep(1.2)
    assert sources(page)[0] == still
    column = int(control(page, "column").get_attribute("aria-valuenow").split(".")[0])
    assert f"column {column}: " in still[1]


def test_a_layer_and_a_unit_of_it_are_chosen_and_opened(page):
    layer = control(page, "layer")
    words = changed(page, 2, lambda: layer.send_keys("edges"))
    assert "sum of the kernel" in words
    channel = control(page, "channel")
    assert channel.get_attribute("aria-valuemax") == "3.0"
    assert changed(page, 2, lambda: channel.send_keys(Keys.END)) != words


def test_a_picture_and_a_bad_file_are_uploaded(page, tmp_path):
    good, bad = tmp_path / "blue.png", tmp_path / "<b>bad.png"
    good.write_bytes(png("blue"))
    bad.write_bytes(b"this is text")
    # A dialog of the system cannot be typed into: the page's own field is.
    page.execute_script(
        "HTMLInputElement.prototype.click = function() { document.body.append(this) }"
    )
    control(page, "add your own").send_keys(Keys.ENTER)
    [field] = page.find_elements(By.CSS_SELECTOR, "input[type=file]")
    before = sources(page)
    changed(page, 1, lambda: field.send_keys(str(good)))
    assert "Added: blue.png." in text(page)
    until(lambda: sources(page)[2][0] != before[2][0])
    page.execute_script("arguments[0].value = ''", field)
    field.send_keys(str(bad))
    refused = "<b>bad.png was not added: it is text"
    until(lambda: refused in text(page))
    menu = control(page, "picture")
    assert menu.text.split() == ["blue.png", "picture", "1", "picture", "2"]
    before = sources(page)
    changed(page, 1, lambda: menu.send_keys(Keys.ARROW_DOWN))
    until(lambda: sources(page)[2][0] != before[2][0])


def test_tab_reaches_every_control(page):
    controls = page.execute_script(
        "const found = [...document.querySelectorAll('.noUi-handle, select, button, "
        "[contenteditable=true]')].filter(x => x.checkVisibility());"
        "document.activeElement.blur(); return found"
    )
    assert len(controls) > 15
    reached = []
    for _ in range(2 * len(controls)):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.switch_to.active_element)
    assert [x.get_attribute("outerHTML") for x in controls if x not in reached] == []


def test_nothing_comes_from_the_network_and_no_name_became_code(page):
    asked = set()
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    ours = ("http://127.0.0.1:", "data:", "blob:", "chrome:")
    foreign = [url for url in asked if not url.startswith(ours)]
    # Voila's own page asks for icons, which no control here has. They did not come.
    assert [url for url in foreign if "fontawesome" not in url] == []
    assert len(asked) > 20
    assert page.execute_script("return window.hacked") is None
