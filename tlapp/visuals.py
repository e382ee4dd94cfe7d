"""The verbs for Python that show what a finished run does: explain and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlapp.api import load, load_run
from tlapp.errors import UserError


def explain(
    run: str | Path, files: Sequence[str | Path], *, output: str | Path | None = None, label: str | None = None,
    method: Any = "grad-cam", trust: bool = False,
) -> list[Any]:  # fmt: skip
    """Show where in pictures a run sees what speaks for its answers: `tlapp.explain("saved_models/pets", ["cat.jpg"])`.

    Args:
        run: its folder.
        files: files, folders and quoted globs.
        output: a folder for PNGs, each a picture and its heat map side by side; None for none.
        label: the class to explain; None for the most probable one of each picture.
        method: "grad-cam" or "layer-cam"; see `tlapp.engine.visuals.heat_map.place_of`.
        trust: as in `train`.

    Returns:
        A `tlapp.engine.visuals.explain.Explanation` a picture: label, probability, peak, and heat, (size, size) from 0 to 1.

    Raises:
        UserError: it is no run on pictures, its network has no map of features, or a picture cannot be read.
    """
    from tlapp.engine.data.naming import named
    from tlapp.engine.data.reading import Bad
    from tlapp.engine.visuals.explain import check_takes_pictures
    from tlapp.engine.visuals.explain import explain as answers

    saved = explained_run(run, trust)
    check_takes_pictures(saved)
    asked, found = named([str(file) for file in files], saved.input), []
    for answer in answers(saved, asked.sources, label, method, Path(output) if output else None, asked.bad):
        if isinstance(answer, Bad):
            raise UserError(f"{saved.input.title(answer.source)}: {answer.reason}", received=answer.source)
        found.append(answer)
    return found


def explained_run(run: str | Path, trust: bool = False) -> Any:
    """A finished run by its folder.

    Raises:
        UserError: it is none; an export is told from what is neither.
    """
    from tlapp.engine.runs.saved import SavedRun

    saved = load(run, trust=trust)
    if not isinstance(saved, SavedRun):
        raise UserError(f"{run}: is an export, which holds no gradients; name the run that it was made of")
    return saved


def report(run: str | Path, output: str | Path | None = None, *, images: bool = True, trust: bool = False) -> Path:
    """Write the report of a finished run, one page that needs no other file: `tlapp.report("saved_models/pets")`.

    Args:
        run: its folder.
        output: the file; None for report.html in the run's folder.
        images: False leaves out the pictures or texts, and their names.
        trust: as in `train`.

    Returns:
        The file.

    Raises:
        UserError: there is no finished run, or the file cannot be written.
    """
    from tlapp.engine.runs.folder import RunFolder
    from tlapp.engine.visuals.html_report import write_report
    from tlapp.engine.visuals.run_facts import check_finished
    from tlapp.engine.visuals.thumbnails import Gallery, from_files

    check_finished(RunFolder(Path(run)))
    saved = load_run(run, trust=trust)
    gallery = Gallery(saved.input, from_files(saved.input))
    if images and gallery.has_pictures:
        gallery = gallery._replace(model=saved.model)
    return write_report(saved.files, gallery, Path(output) if output else None, images)
