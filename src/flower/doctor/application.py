"""Check of the application: it is loaded as the server loads it."""

from collections.abc import Iterable

from flower.doctor.examination import Examination
from flower.doctor.models import Outcome
from flower.errors import FlowerError


def check_application(examination: Examination) -> Iterable[Outcome]:
    """Import the application, and the task modules that its settings name."""
    try:
        app = examination.load_app()
    except FlowerError as error:
        action = "Check -A, --workdir and PYTHONPATH, and that the packages of the application are installed here."
        return [Outcome("error", error.message, action)]
    except ImportError as error:
        action = "Check the settings imports and include, PYTHONPATH, and the packages that are installed here."
        return [Outcome("error", f"A task module cannot be imported: {error}", action)]
    examination.loaded_app = app
    own_tasks = sum(not name.startswith("celery.") for name in app.tasks)
    if examination.load_app.is_user_app:
        return [Outcome("ok", f"{app.main or 'application'}: {own_tasks:,} tasks")]
    return [
        Outcome(
            "ok", "None given: default settings",
            "For actions and results, name the application: flower doctor -A proj",
        )
    ]  # fmt: skip
