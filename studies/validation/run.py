"""Compare the simulator with theory, another simulator, published failures and documented controllers.

Writes the page of the validation and its pictures, or nothing where a section fails. With --only the tables of those
sections are printed and nothing is written. With --refresh nothing is measured: the page quotes the kept results of the
studies `accounting` and `mutants` anew. A quick run has fewer seeds and leaves the reference engine out.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.errors import ConfigError
from studies.common.study import StudyArguments, outputs
from studies.validation.plan import NAME, scale
from studies.validation.report import Measured, measure, refresh, write
from studies.validation.section import Settings
from studies.validation.sections import SECTIONS


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Compare the simulator with what is known elsewhere; exits with 1 where a row is wrong."""

    only: str = argument("", "sections to print, separated by commas; nothing is written")
    reference: bool = argument(True, "repeat the first seed on the reference engine, which is slow")
    refresh: bool = argument(False, "measure nothing; quote the kept results of accounting and mutants anew")


def run(arguments: Arguments) -> int:
    """Measure and write; 1 where something is wrong, else 0. Raises ConfigError: an unknown section, or no page."""
    names = [name.strip() for name in arguments.only.split(",")] if arguments.only else list(SECTIONS)
    if unknown := sorted(set(names) - set(SECTIONS)):
        raise ConfigError(f"section {unknown[0]!r}: must be one of {', '.join(SECTIONS)}")
    to = outputs(NAME, arguments.quick)
    reference = arguments.reference and not arguments.quick
    settings = Settings(arguments.jobs, reference, arguments.progress, scale(arguments.quick))
    if arguments.refresh:
        return 0 if all(section.passes for section in refresh(settings, to.page)) else 1
    measured = [printed(each) for each in measure(settings, names)]
    if not arguments.only:
        write(measured, settings, to)
        print(to.page)
    return 0 if all(each.section.passes for each in measured) else 1


def printed(measured: Measured) -> Measured:
    """Print a section's tables."""
    print("\n".join(measured.section.tables()))
    print(f"{measured.section.title}: {measured.section.verdict or 'done'}, {measured.duration_s:.0f} s\n", flush=True)
    return measured
