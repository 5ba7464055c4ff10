from agent.bounded_set import BoundedSet


def test_full_set_forgets_what_it_had():
    seen: BoundedSet[int] = BoundedSet(max_size=3)
    for number in (1, 2, 3):
        seen.add(number)
    assert seen == {1, 2, 3}
    seen.add(4)
    assert seen == {4}
