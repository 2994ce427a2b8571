"""One list of reasons for both languages."""

from spaces_ctl.engine import REFUSALS
from spaces_ctl.policy.codes import CODES
from tools.generate_codes import TARGET, generated


def test_the_engine_refuses_with_the_policys_codes() -> None:
    wired = {name: code.wire for name, code in CODES.items() if code.wire is not None}
    assert wired == REFUSALS
    assert len(set(wired.values())) == len(wired)


def test_the_rust_side_is_generated_from_the_list_as_it_is() -> None:
    assert generated() == TARGET.read_text(), "run python -m tools.generate_codes"
