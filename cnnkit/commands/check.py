"""`cnnkit check`: what is wrong with a folder of pictures."""


def check(options):
    """Prints what is wrong with the pictures of a folder; changes only what was asked.

    Args:
        options: `argparse.Namespace` with folder, codes, table, quarantine, move and
            undo.

    Returns:
        int, the exit status: 1 when an error was found, else 0.

    Raises:
        ValueError: options do not go together, or the folder cannot be used.
        OSError: a file cannot be written or moved.
    """
    from cnnkit import data
    from cnnkit.data.surroundings import check_place

    if options.codes:
        for code, about in data.CODES.items():
            print(f"{code} ({about.severity}): {about.meaning}")
            print(f"    for example {about.example}\n    -> {about.remedy}")
        return 0
    if options.folder is None:
        raise ValueError("Name the folder to check. Received: no FOLDER")
    if (options.move or options.undo) and options.quarantine is None:
        raise ValueError(
            "--move and --undo need --quarantine DIR. Received: no --quarantine"
        )
    if options.undo:
        back = data.restore(options.folder, options.quarantine)
        print(f"{len(back)} files are back in {str(options.folder)!r}")
        return 0
    if options.table and options.table.suffix.lower() != ".csv":
        raise ValueError(f"--table ends in .csv. Received: {str(options.table)!r}")
    for name, path in (
        ("--table", options.table),
        ("--quarantine", options.quarantine),
    ):
        if path:  # before all pictures are read
            check_place(
                path / "plan.csv" if name == "--quarantine" else path, f"{name} "
            )
    findings = data.check(
        options.folder,
        labels=options.labels,
        links=options.links,
        quarantine=options.quarantine,
        move=options.move,
    )
    if options.table:
        data.save_findings(findings, options.table)
    return int((findings["severity"] == "error").any())
