"""Who may approve, what an approval is bound to, and when there are enough of them.

An approval is a yes to what was seen: the build, the config, and the evidence recorded before anything was done. When
one of them changes, the approval stays in the history and counts no longer. Nobody approves their own request
or their own commit; somebody with two names but one mail address is one person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lanewise.domain.canonical import digest
from lanewise.domain.environment import ApprovalRule, Person
from lanewise.domain.evidence import Moment
from lanewise.domain.promotion import Promotion
from lanewise.errors import ApprovalRefused
from lanewise.promotion.supersede import may_be_superseded

_AUTHOR = re.compile(r"(.*?)\s*<([^<>]*)>")


@dataclass(frozen=True)
class Satisfied:
    """Enough people have approved exactly this."""

    by: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """``count`` more people must approve, from one of ``groups`` (empty: anyone else). ``voided`` names those whose
    approval was bound to something that has changed since."""

    count: int
    groups: tuple[str, ...]
    voided: tuple[str, ...] = ()


def binding(build: str, config: str, evidence_digests: Iterable[str]) -> str:
    """``sha256:…`` of what an approver sees; the order of the evidence does not matter."""
    return digest([build, config, sorted(evidence_digests)])


def bound_to(promotion: Promotion) -> str:
    """What an approval of this promotion is bound to as it stands now."""
    seen = [d for name, d in promotion.evidence.items() if name.endswith(f"@{Moment.BEFORE.value}")]
    skipped = [f"without {gate}: {broken.reason}" for broken in promotion.glass for gate in broken.gates]
    return binding(promotion.build, promotion.config, (*seen, *skipped))


def approved(promotion: Promotion, rule: ApprovalRule, bound_to: str) -> Satisfied | Missing:
    """Whether enough different people, none of them the requester, have approved ``bound_to``."""
    valid = {_fold(a.actor): a.actor for a in promotion.approvals if a.bound_to == bound_to}
    valid.pop(_fold(promotion.requester), None)
    if len(valid) >= rule.count:
        return Satisfied(tuple(valid.values()))
    voided = {_fold(a.actor): a.actor for a in promotion.approvals if a.bound_to != bound_to}
    names = tuple(name for key, name in voided.items() if key not in valid)
    return Missing(rule.count - len(valid), rule.groups, names)


def still_entitled(promotion: Promotion, rule: ApprovalRule, people: Mapping[str, Person]) -> Promotion:
    """The promotion with the approvals of those only who are in one of the rule's groups to this day."""
    if not rule.groups:
        return promotion
    kept = tuple(a for a in promotion.approvals if _Identity.of(a.actor, (), people).groups & set(rule.groups))
    return replace(promotion, approvals=kept)


def expired(promotion: Promotion, rule: ApprovalRule, now: datetime) -> bool:
    """Whether the request is older than ``rule.expires`` and has neither begun nor ended."""
    requested = datetime.fromisoformat(promotion.requested_at)
    return may_be_superseded(promotion) and now - requested >= rule.expires


def may_approve(
    actor: str,
    emails: Sequence[str],
    *,
    promotion: Promotion,
    rule: ApprovalRule,
    people: Mapping[str, Person],
    authors: Sequence[str],
) -> None:
    """Raise ``ApprovalRefused`` with the reason, and whom to ask, unless ``actor`` may approve.

    ``emails`` are those that the identity proves, beside the ones that ``people`` lists. ``authors`` are git's
    ``Name <mail>`` of the commit; whoever made a build from a dirty tree belongs among them.
    """
    me = _Identity.of(actor, emails, people)
    ask = _whom_to_ask(promotion, rule, people, authors)
    if me.meets(_Identity.of(promotion.requester, (), people)):
        raise ApprovalRefused(f"{actor} asked for {promotion.id}, and nobody approves their own request", hint=ask)
    for author in authors:
        if me.wrote(author):
            raise ApprovalRefused(f"{actor} wrote the commit that {promotion.id} promotes ({author})", hint=ask)
    for given in promotion.approvals:
        if given.bound_to == bound_to(promotion) and me.meets(_Identity.of(given.actor, (), people)):
            raise ApprovalRefused(f"{given.actor} has approved {promotion.id} already", hint=ask)
    if rule.groups and not me.groups & set(rule.groups):
        raise ApprovalRefused(f"{actor} is not in {' or '.join(rule.groups)}", hint=ask)


def eligible(
    promotion: Promotion, rule: ApprovalRule, people: Mapping[str, Person], authors: Sequence[str] = ()
) -> tuple[str, ...]:
    """The listed people whose approval would count and is not there yet, by name."""
    return tuple(sorted(name for name in people if _may(name, promotion, rule, people, authors)))


def _may(
    name: str, promotion: Promotion, rule: ApprovalRule, people: Mapping[str, Person], authors: Sequence[str]
) -> bool:
    me = _Identity.of(name, (), people)
    given = [a.actor for a in promotion.approvals if a.bound_to == bound_to(promotion)]
    taken = [_Identity.of(other, (), people) for other in (promotion.requester, *given)]
    in_group = not rule.groups or bool(me.groups & set(rule.groups))
    return in_group and not any(me.meets(t) for t in taken) and not any(me.wrote(a) for a in authors)


def _whom_to_ask(promotion: Promotion, rule: ApprovalRule, people: Mapping[str, Person], authors: Sequence[str]) -> str:
    names = eligible(promotion, rule, people, authors)
    if names:
        return f"ask {' or '.join(names)}"
    if rule.groups:
        return f"nobody else is listed in {' or '.join(rule.groups)}: add a person under `people` in environments.yaml"
    return "ask somebody who neither asked for it nor wrote it"


@dataclass(frozen=True)
class _Identity:
    """All that is known of one person, folded to compare."""

    names: frozenset[str]
    mails: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def of(cls, name: str, emails: Sequence[str], people: Mapping[str, Person]) -> _Identity:
        listed = [p for key, p in people.items() if _fold(name) in {_fold(key), _fold(p.name)}]
        mails = {_fold(mail) for mail in (*emails, *(m for p in listed for m in p.emails)) if mail.strip()}
        groups = {group for p in listed for group in p.groups}
        return cls(frozenset({_fold(name)}), frozenset(mails), frozenset(groups))

    def meets(self, other: _Identity) -> bool:
        return bool(self.names & other.names or self.mails & other.mails)

    def wrote(self, author: str) -> bool:
        """Whether git's ``Name <mail>`` is this person. Of somebody without a known address, the part before
        the @ is compared with their name: a doubt speaks against approving."""
        found = _AUTHOR.fullmatch(author.strip())
        name, mail = (_fold(found[1]), _fold(found[2])) if found else (_fold(author), _fold(author))
        by_login = not self.mails and "@" in mail and mail.partition("@")[0] in self.names
        return mail in self.mails or bool({name, mail} & self.names) or by_login


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
