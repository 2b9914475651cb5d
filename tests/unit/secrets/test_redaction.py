from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.adapters.secrets.redaction import Redactor

HARD = 'p@ss "w\\ö/r+d=&\t😀'


def redacting(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.remember(value)
    return redactor


@pytest.mark.parametrize(
    "form",
    [
        HARD,
        json.dumps(HARD),
        json.dumps(HARD, ensure_ascii=False),
        repr({"PASSWORD": HARD}),
        quote(HARD),
        quote(HARD, safe=""),
        quote_plus(HARD),
        html.escape(HARD),
        base64.b64encode(HARD.encode()).decode(),
        base64.urlsafe_b64encode(HARD.encode()).decode().rstrip("="),
        HARD.encode().hex(),
    ],
)
def test_a_value_is_hidden_in_every_form_that_programs_print_it_in(form: str):
    shown = redacting(HARD).redact(form)
    assert "***" in shown
    assert shown.replace("***", "") in {"", "=", '""', "{'PASSWORD': ''}"}


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "svc_prod"])
def test_a_password_inside_a_basic_authorization_header_is_hidden(user: str):
    header = base64.b64encode(f"{user}:correct-horse-battery".encode()).decode()
    shown = redacting("correct-horse-battery").redact(header)
    assert "***" in shown
    assert len(shown.replace("***", "")) <= len(header) - len("correct-horse-b")


def test_each_line_of_a_key_is_hidden_alone():
    key = "-----BEGIN KEY-----\nbGluZSBvbmU\n  bGluZSB0d28\n}\n-----END KEY-----"
    shown = redacting(key).redact("line 2 is bGluZSBvbmU, line 3 bGluZSB0d28, and } is no secret")
    assert shown == "line 2 is ***, line 3 ***, and } is no secret"


def test_a_value_of_three_characters_would_blot_out_words_and_stays():
    assert redacting("cat").redact("concatenate") == "concatenate"
    assert redacting("cats").redact("cats") == "***"


def test_the_longer_of_two_values_that_overlap_is_hidden_whole():
    assert redacting("hunter", "hunter22").redact("hunter22 hunter") == "*** ***"


def test_without_values_text_stays_as_it_is():
    assert Redactor().redact("nothing to hide") == "nothing to hide"


@given(st.text(min_size=4), st.text(), st.text())
def test_no_value_survives_in_any_surrounding(value: str, before: str, after: str):
    shown = redacting(value).redact(before + value + after)
    assert value not in shown or value in "***" + after or value in before + "***"
