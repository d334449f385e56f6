"""Records that the checks of a requirement were held against its sentence, after that sentence changed.

Read the sentence, read the checks that are named, mend what does not fit; then:

Example:
    $ python -m scripts.review_requirements ASK-IDEM-002
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping

from consilience_conformance.requirements import Requirement, UnknownRequirementError, near_ids
from scripts.machine_cache import ROOT
from scripts.spec_requirements import spec_requirements

REVIEWED = ROOT / "conformance/reviewed.json"


def reviewed() -> dict[str, str]:
    """Returns, by id, the digest of the sentence when its checks were last reviewed."""
    digests: dict[str, str] = json.loads(REVIEWED.read_text(encoding="utf-8"))
    return digests


def with_review(
    digests: Mapping[str, str], *, requirements: Mapping[str, Requirement], names: Iterable[str]
) -> dict[str, str]:
    """Returns the digests with those of some sentences as they are now, in the order of the ids.

    Args:
        digests: What was reviewed so far.
        requirements: Of the specification, by id.
        names: Ids that are reviewed; one that is no requirement any more is taken out.

    Raises:
        UnknownRequirementError: A name is and was no requirement.
    """
    fresh = dict(digests)
    for name in names:
        if name in requirements:
            fresh[name] = requirements[name].digest
        elif name in fresh:
            del fresh[name]
        else:
            raise UnknownRequirementError(name, near=near_ids(name, known=requirements))
    return dict(sorted(fresh.items()))


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Record that the checks of requirements fit their sentences.")
    parser.add_argument("ids", nargs="+", metavar="ID", help="a requirement whose checks were reviewed: ASK-IDEM-002")
    names: list[str] = parser.parse_args().ids
    requirements = {requirement.id: requirement for requirement in spec_requirements()}
    try:
        fresh = with_review(reviewed(), requirements=requirements, names=names)
    except UnknownRequirementError as error:
        sys.exit(str(error))
    REVIEWED.write_text(json.dumps(fresh, indent=2) + "\n", encoding="utf-8")
    for name in names:
        print(f"{name}: {requirements[name].sentence}" if name in requirements else f"{name}: taken out")


if __name__ == "__main__":
    main()
