"""Run a study, or list the studies: what each reads and writes, and how long it takes.

python scripts/study.py                          the list
python scripts/study.py validation --quick       a trial of a minute or two, written to results/quick
python scripts/study.py validation --help        the options of one study
"""

from __future__ import annotations

import sys

from streamflow_agents.arguments import parse_arguments
from streamflow_env.errors import ConfigError
from studies.common.study import header, program, study_names


def main() -> None:
    """Run the study that the command line names."""
    if len(sys.argv) < 2:
        print_list()
        return
    if sys.argv[1] in ("-h", "--help"):
        print(f"usage: study.py [NAME] [options]\n\n{__doc__}")
        return
    name, *options = sys.argv[1:]
    try:
        study = program(name)
        sys.exit(study.run(parse_arguments(study.Arguments, options)))
    except ConfigError as error:
        sys.exit(f"error: {error}")


def print_list() -> None:
    """Every study with what it does, reads and writes, and how long it takes."""
    for name in study_names():
        study = header(name)
        print(f"{name}: {study.about}")
        for label, paths in (("reads", study.reads), ("may use", study.optional), ("writes", study.writes)):
            if paths:
                print(f"    {label:7} {', '.join(paths)}")
        print(f"    takes   {study.takes}; quick: {study.quick_takes}")


if __name__ == "__main__":
    main()
