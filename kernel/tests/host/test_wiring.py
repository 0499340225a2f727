from hypothesis import given
from hypothesis import strategies as st

from peerkit._host.wiring import Party, Wiring, wire
from peerkit.capabilities import Capability
from peerkit.plugin import AnyCapability

ONE: AnyCapability = Capability("test.one/1")
OTHER: AnyCapability = Capability("test.other/1")
MANY: AnyCapability = Capability("test.many/1", many=True)


def party(
    name: str,
    provides: tuple[AnyCapability, ...] = (),
    requires: tuple[AnyCapability, ...] = (),
    uses: tuple[AnyCapability, ...] = (),
) -> Party:
    return Party(name, provides, requires, uses)


def only(wiring: Wiring) -> str:
    assert len(wiring.problems) == 1, wiring.problems
    return wiring.problems[0]


def test_providers_come_before_requirers_whatever_the_names() -> None:
    wiring = wire([party("a", requires=(ONE,)), party("b", uses=(OTHER,)), party("z", (ONE, OTHER))])
    assert wiring.order == ("z", "a", "b")
    assert wiring.providers == {ONE.name: ("z",), OTHER.name: ("z",)}
    assert wiring.problems == ()


def test_kernel_meets_requirements_and_nobody_may_stand_in_for_it() -> None:
    assert wire([party("a", requires=(ONE,))], kernel=[ONE.name]).problems == ()
    problem = only(wire([party("a", provides=(ONE,))], kernel=[ONE.name]))
    assert problem == "a provides test.one/1, which the kernel provides"


def test_unmet_requirement_names_who_asks_and_what_is_missing() -> None:
    assert only(wire([party("a", requires=(ONE,))])) == "a requires test.one/1, which no enabled plugin provides"
    problem = only(wire([party("a", requires=(ONE,))], elsewhere={ONE.name: ["off"]}))
    assert problem.endswith("off would: enable it")
    newer: AnyCapability = Capability("test.one/2")
    problem = only(wire([party("a", requires=(ONE,)), party("b", (newer,))]))
    assert problem.endswith("there is test.one/2")


def test_two_providers_of_one_are_both_named_and_the_profile_may_choose() -> None:
    parties = [party("a", (ONE,)), party("b", (ONE,)), party("c", requires=(ONE,))]
    assert only(wire(parties)).startswith("a and b both provide test.one/1")
    chosen = wire(parties, chosen={ONE.name: "b"})
    assert chosen.problems == ()
    assert chosen.providers[ONE.name] == ("b",)


def test_choice_of_one_that_does_not_provide_is_a_problem() -> None:
    parties = [party("a", (ONE,)), party("c")]
    assert only(wire(parties, chosen={ONE.name: "c"})) == "node.providers: c does not provide test.one/1 (a)"


def test_many_may_provide_what_is_for_many() -> None:
    wiring = wire([party("b", (MANY,)), party("a", (MANY,)), party("c", requires=(MANY,))])
    assert wiring.problems == ()
    assert wiring.providers[MANY.name] == ("a", "b")


def test_circle_of_requirements_is_named_step_by_step() -> None:
    parties = [party("a", (ONE,), (OTHER,)), party("b", (OTHER,), (ONE,)), party("c", requires=(ONE,))]
    assert only(wire(parties)) == "plugins require each other in a circle: a → b → a"


def test_circle_through_what_is_only_used_is_no_problem() -> None:
    wiring = wire([party("a", (ONE,), uses=(OTHER,)), party("b", (OTHER,), (ONE,))])
    assert wiring.problems == ()
    assert wiring.order == ("a", "b")


def test_every_problem_is_told() -> None:
    parties = [party("a", (ONE,), (OTHER,)), party("b", (ONE,)), party("c", requires=(MANY,))]
    assert len(wire(parties).problems) == 3


_tokens = [Capability[object](f"t.{n}/1", many=True) for n in range(5)]
_some = st.lists(st.sampled_from(_tokens), max_size=3, unique=True).map(tuple)


@given(st.lists(st.tuples(_some, _some, _some), max_size=7))
def test_order_holds_for_any_plugins(
    shapes: list[tuple[tuple[AnyCapability, ...], tuple[AnyCapability, ...], tuple[AnyCapability, ...]]],
) -> None:
    parties = [Party(f"p{n}", *shape) for n, shape in enumerate(shapes)]
    wiring = wire(parties)
    assert sorted(wiring.order) == [p.name for p in parties]
    if wiring.problems:
        return
    place = {name: n for n, name in enumerate(wiring.order)}
    for it in parties:
        for capability in it.requires:
            for provider in wiring.providers[capability.name]:
                assert place[provider] <= place[it.name]
