"""Whether gufe is here, and which documents this process would read."""

from collections.abc import Iterator
from importlib.util import find_spec

from alchemiscale_prefect.chemistry.allowed_modules import DEFAULT_PREFIXES, ENVIRONMENT_VARIABLE, AllowedModules
from alchemiscale_prefect.chemistry.versions import GUFE_LINE, GUFE_VERSION
from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.errors import InvalidInput


def check_gufe() -> list[Check]:
    """Look at gufe and at the allowed modules."""
    return [*_gufe(), *_modules()]


def _gufe() -> Iterator[Check]:
    try:
        from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
    except Exception as error:  # noqa: BLE001  whatever its compiled parts raise where they do not fit
        what = f"gufe {GUFE_VERSION} cannot be imported: {type(error).__qualname__}: {error}"
        yield checks.failed("gufe", what, "make the environment anew, see environment.yml")
        return
    if GUFE_LINE == "0":
        what = f"{GUFE_VERSION}, with our adapter; keys of gufe 1.x are not interchangeable with its own"
    else:
        what = f"{GUFE_VERSION}, from {AlchemicalNetwork.__module__}"
    yield checks.ok("gufe", what)


def _modules() -> Iterator[Check]:
    try:
        added = [name for name in AllowedModules.from_environment().prefixes if name not in DEFAULT_PREFIXES]
    except InvalidInput as error:
        yield checks.failed(
            "allowed modules", error.message, f"correct {ENVIRONMENT_VARIABLE}: names, and commas between"
        )
        return
    absent = sorted({name.partition(".")[0] for name in added if find_spec(name.partition(".")[0]) is None})
    if absent:
        what = f"{', '.join(absent)} in {ENVIRONMENT_VARIABLE}: not installed here"
        yield checks.warning("allowed modules", what, "install it, or take it out")
    else:
        yield checks.ok("allowed modules", f"the default{''.join(f', {name}' for name in added)}")
