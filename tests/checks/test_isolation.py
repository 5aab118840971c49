"""Isolation, on hand-written sessions."""

import pytest

from pytest_httpconc.checks import find_mixed_answers
from pytest_httpconc.checks.isolation import Heard, Nonce


def session(number, *events):
    return Heard(number=number, nonce=Nonce(f"word-{number}"), events=events)


def event(kind, of, session_id):
    return {"type": kind, "session_id": session_id, "content": f"What is word-{of}?"}


def own(number):
    return session(number, {"type": "session_start", "session_id": f"s{number}"}, event("answer", number, f"s{number}"))


def test_sessions_that_got_their_own_are_cleared():
    assert find_mixed_answers([own(1), own(2), own(3)]) == []


@pytest.mark.parametrize("kind", [str, str.encode], ids=["text", "bytes"])
def test_plain_answers_are_judged_too(kind):
    assert find_mixed_answers([session(n, kind(f"echo: word-{n}")) for n in (1, 2)]) == []
    (finding,) = find_mixed_answers([session(n, kind("echo: word-2")) for n in (1, 2)])
    assert finding.summary == "1 of 2 sessions got what is not theirs"


def test_word_of_another_session_is_found_and_shown_beside_what_was_asked():
    (finding,) = find_mixed_answers([session(1, event("thinking", 1, "a"), event("answer", 2, "a")), own(2)])
    assert (finding.code, finding.summary) == ("HC501", "1 of 2 sessions got what is not theirs")
    assert finding.evidence == [
        "session  asked with  was answered with",
        '      1  word-1      word-2 of session 2, in event 2 (answer): {"content": "What is word-2?"}',
    ]


def test_answers_that_were_swapped_are_two():
    (finding,) = find_mixed_answers([session(1, "word-2"), session(2, "word-1")])
    assert finding.summary == "2 of 2 sessions got what is not theirs"
    assert [line.split()[0] for line in finding.evidence] == ["session", "1", "2"]


def test_answer_that_has_both_words_is_found():
    assert len(find_mixed_answers([session(1, "word-1 and word-2"), session(2, "word-2")])) == 1


def test_event_with_another_sessions_id_is_found():
    strayed = session(1, event("thinking", 1, "s1"), {"type": "answer", "session_id": "s2", "content": "word-1"})
    (finding,) = find_mixed_answers([strayed, own(2)])
    assert "session_id s2 of session 2, in event 2 (answer)" in finding.evidence[1]


def test_id_that_changes_in_the_middle_is_found():
    (finding,) = find_mixed_answers([session(1, event("thinking", 1, "s1"), event("answer", 1, "s9")), own(2)])
    assert "session_id s9, in event 2" in finding.evidence[1]


def test_id_that_two_sessions_have_is_found_in_both():
    sessions = [session(1, event("answer", 1, "same")), session(2, event("answer", 2, "same"))]
    (finding,) = find_mixed_answers(sessions)
    assert finding.summary == "2 of 2 sessions got what is not theirs"


def test_session_without_its_own_word_is_found_where_others_have_theirs():
    (finding,) = find_mixed_answers([session(1, "hello"), own(2)])
    assert finding.evidence[1].endswith("no word-1 in any of 1 events")
    assert find_mixed_answers([session(1, "hello"), session(2, "hello")]) == []
