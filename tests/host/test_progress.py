"""What a person is told of a long step's rate and of the time left."""

from host.report.progress import Pace


def told(*steps, first=0):
    pace = Pace(0.0, first)
    for now_s, done in steps:
        pace.tell(now_s, done, 100)
    return pace.text()


def test_the_first_piece_sets_no_rate():
    assert told((0, 0), (40, 1)) == ""  # it had an emulator to start
    assert told((0, 0), (40, 1), (42, 3)) == "1.0 per s, 0:01:37 left"


def test_what_was_done_before_is_no_part_of_the_rate():
    assert told((0, 90), (1, 91), (5, 92), first=90) == "4.0 s each, 0:00:32 left"


def test_nothing_is_told_as_long_as_nobody_can_tell():
    assert told((0, 0)) == told((0, 0), (9, 0)) == ""
