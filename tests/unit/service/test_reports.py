"""Reading JUnit XML and SARIF, from code that need not be well-meaning."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.run import RunOutcome
from lanewise.errors import WrongInput
from lanewise.service.reports import (
    MAX_BYTES,
    Cases,
    command_report,
    parse_junit,
    parse_sarif,
    read_report,
    report_environment,
)

JUNIT = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5">
  <testcase classname="tests.test_a" name="test_good" time="0.1"/>
  <testcase classname="tests.test_a" name="test_bad"><failure message="assert 1 == 2">long text</failure></testcase>
  <testcase classname="tests.test_a" name="test_broken"><error message="boom"/><failure message="x"/></testcase>
  <testcase classname="tests.test_a" name="test_later"><skipped message="later"/></testcase>
  <testcase name="test_gtest" status="notrun"/>
</testsuite></testsuites>"""


def sarif(*results, **run):
    tool = {"driver": {"name": "lint", "rules": [{"id": "N1", "defaultConfiguration": {"level": "note"}}]}}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": tool, "results": list(results), **run}]}).encode()


def same(text):
    return text


def test_cases_are_counted_one_by_one():
    assert parse_junit(JUNIT) == Cases(
        tests=5, failures=2, skipped=2,
        messages=("tests.test_a.test_bad: assert 1 == 2", "tests.test_a.test_broken: boom"),
    )  # fmt: skip


def test_a_suite_that_claims_more_failures_than_its_cases_show_is_believed():
    assert parse_junit(b'<testsuite tests="1" failures="1" errors="2"><testcase name="a"/></testsuite>').failures == 3


def test_a_suite_that_claims_tests_and_shows_none_has_none():
    assert parse_junit(b'<testsuite tests="12"></testsuite>').tests == 0


def test_figures_that_are_none_are_ignored():
    huge = b"9" * 5000
    assert parse_junit(b'<testsuite failures="-1" errors="' + huge + b'"><testcase/></testsuite>') == Cases(1, 0)


def test_a_failed_case_can_not_be_skipped_as_well():
    text = b"<testsuite><testcase><failure/><skipped/></testcase><testcase><skipped/><failure/></testcase></testsuite>"
    assert parse_junit(text) == Cases(2, 2, 0, (": failure", ": failure"))


@pytest.mark.parametrize(
    "text",
    [
        b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase>&x;</testcase></testsuite>',
        b'<!DOCTYPE testsuite SYSTEM "http://127.0.0.1:1/x.dtd"><testsuite><testcase/></testsuite>',
        b"<!DOCTYPE testsuite><testsuite><testcase/></testsuite>",
    ],
)
def test_a_document_type_is_refused_and_with_it_every_entity(text):
    with pytest.raises(WrongInput, match="holds a document type"):
        parse_junit(text)


@pytest.mark.parametrize(
    "text",
    [b"", b"no xml", b"<testsuite>", b"<html/>", b"<a/><b/>", b"<testsuite>\x00</testsuite>",
     b"<testsuite>&who;</testsuite>", b'<?xml version="1.0" encoding="no-such"?><testsuite/>', b"<testsuite>" * 100,
     b"\xff\xfe<"],
)  # fmt: skip
def test_what_is_no_junit_report_is_one_clear_error(text):
    with pytest.raises(WrongInput, match=r"the report r\.xml"):
        parse_junit(text, "r.xml")


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(data):
    for parse in (parse_junit, parse_sarif):
        try:
            found = parse(data)
        except WrongInput:
            found = Cases(0, 0)
        assert found.failures <= found.tests


def test_messages_are_short_few_and_on_one_line():
    cases = b"".join(b'<testcase name="a"><failure message="x&#10;%s"/></testcase>' % (b"y" * 999) for _ in range(50))
    messages = parse_junit(b"<testsuite>" + cases + b"</testsuite>").messages
    assert len(messages) == 20
    assert {len(m) for m in messages} == {300}
    assert not any("\n" in m for m in messages)


@pytest.mark.parametrize(
    ("results", "tests", "failures"),
    [
        ([], 1, 0),
        ([{"ruleId": "E1", "message": {"text": "bad"}}], 1, 1),
        ([{"level": "error"}, {"level": "warning"}, {"level": "note"}, {"level": "none"}], 4, 2),
        ([{"ruleId": "N1"}], 1, 0),
        ([{"kind": "pass"}, {"kind": "informational"}], 2, 0),
        ([{"kind": "open"}, {"kind": "review"}], 2, 2),
        ([{"kind": "notApplicable"}, {"baselineState": "absent"}], 1, 0),
        ([{"suppressions": [{"kind": "inSource"}]}], 1, 0),
        ([{"suppressions": [{"kind": "external", "status": "rejected"}]}], 1, 1),
    ],
)
def test_what_a_sarif_result_means(results, tests, failures):
    found = parse_sarif(sarif(*results))
    assert (found.tests, found.failures) == (tests, failures)


def test_a_tool_that_did_not_finish_fails_and_no_run_is_no_result():
    broken = parse_sarif(sarif(invocations=[{"executionSuccessful": False}]))
    assert broken == Cases(1, 1, messages=("lint did not finish",))
    assert parse_sarif(b'{"runs": []}') == Cases(0, 0)
    assert parse_sarif(sarif().replace(b'"results": []', b'"results": null')) == Cases(0, 0)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"runs": 3}', b'{"runs": [1]}', b"[" * 100_000, b'{"runs": [{}]}', b"\xff"]
)
def test_what_is_no_sarif_is_one_clear_error(text):
    with pytest.raises(WrongInput, match=r"the report r\.sarif is no SARIF"):
        parse_sarif(text, "r.sarif")


def test_a_report_beyond_the_size_is_not_read(tmp_path):
    path = tmp_path / "r.xml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(WrongInput, match="larger than 16 MB"):
        read_report(path)


def test_all_reports_of_a_command_are_added_up_and_redacted(tmp_path):
    (tmp_path / "a.xml").write_bytes(JUNIT)
    (tmp_path / "b.sarif").write_bytes(sarif({"ruleId": "E1", "message": {"text": "token s3cret"}}))
    (tmp_path / "notes.txt").write_text("not a report")
    report = command_report(RunOutcome(1, 2.5, "the end"), tmp_path, lambda text: text.replace("s3cret", "***"))
    assert (report.exit_code, report.seconds, report.tail) == (1, 2.5, "the end")
    assert (report.tests, report.failures, report.skipped) == (6, 3, 2)
    assert report.messages[-1] == "E1: token ***"


def test_without_a_report_there_are_no_tests_to_speak_of(tmp_path):
    assert command_report(RunOutcome(0, 1), tmp_path, same).tests is None


def test_one_broken_report_spoils_the_evidence_and_says_why(tmp_path):
    (tmp_path / "a.xml").write_bytes(JUNIT)
    (tmp_path / "b.xml").write_bytes(b"<html/>")
    report = command_report(RunOutcome(0, 1), tmp_path, same)
    assert report.tests is None
    assert report.messages[0].startswith("the report b.xml is no JUnit report")


def test_links_and_pipes_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(JUNIT)
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "link.xml").symlink_to(outside)
    os.mkfifo(reports / "pipe.xml")
    assert command_report(RunOutcome(0, 1), reports, same).tests is None


def test_pytest_leaves_its_report_without_being_told_on_the_command_line(tmp_path):
    reports = tmp_path / "re ports"
    reports.mkdir()
    (tmp_path / "test_one.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
    command = [sys.executable, *shlex.split("-m pytest -q -p no:cacheprovider test_one.py")]
    variables = {**os.environ, **report_environment(reports, "-p no:randomly")}
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, check=False)
    report = command_report(RunOutcome(ended.returncode, 1), reports, same)
    assert (report.exit_code, report.tests, report.failures) == (1, 2, 1)
    assert report.messages == ("test_one.test_bad: assert 1 == 2",)
