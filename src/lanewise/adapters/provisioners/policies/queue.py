"""Rights on queues and topics, for connections with a field ``queue``: SQS, RabbitMQ and Kafka, each in its words."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from lanewise.domain.environment import Connection, Environment, Role
from lanewise.domain.provision import PolicyFile


def queue_policies(lane: Environment, others: Sequence[Environment]) -> tuple[PolicyFile, ...]:
    """One file a connection that names a queue and is of a type known here."""
    files = []
    for connection in lane.connections.values():
        queue, account = connection.fields.get("queue"), _account(lane, connection)
        if isinstance(queue, str) and queue and account:
            denied = sorted({found for other in others if (found := _same_account(other, connection))} - {account})
            if connection.type == "sqs":
                files.append(_sqs(connection, queue, account, denied))
            elif connection.type in {"rabbitmq", "amqp"}:
                files.append(_rabbitmq(connection, queue, account))
            elif connection.type == "kafka":
                files.append(_kafka(connection, queue, account))
    return tuple(files)


def _file(connection: Connection) -> str:
    return "queues/" + re.sub(r"[^\w.-]", "_", connection.name)


def _account(lane: Environment, connection: Connection) -> str:
    """Who uses it: the run's login there, else the environment's service account."""
    return str(connection.acting_as(Role.RUNNER).fields.get("user") or lane.settings.get("service_account") or "")


def _same_account(other: Environment, connection: Connection) -> str:
    """Who would use a queue of this kind in another environment."""
    alike = next((found for found in other.connections.values() if found.type == connection.type), None)
    return _account(other, alike) if alike else str(other.settings.get("service_account") or "")


def _sqs(connection: Connection, queue: str, account: str, denied: Sequence[str]) -> PolicyFile:
    arn = queue if queue.startswith("arn:") else f"arn:aws:sqs:*:*:{queue}"
    actions = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    statements = [{"Sid": "LaneUses", "Effect": "Allow", "Principal": {"AWS": [account]}, "Action": actions,
                   "Resource": [arn]}]  # fmt: skip
    if denied:
        statements.append({"Sid": "OtherLanesDoNot", "Effect": "Deny", "Principal": {"AWS": list(denied)},
                           "Action": ["sqs:*"], "Resource": [arn]})  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"
    return PolicyFile(f"{_file(connection)}.json", text, f"set it as the attribute Policy of the queue {queue}")


def _rabbitmq(connection: Connection, queue: str, account: str) -> PolicyFile:
    """The user configures nothing, and writes and reads this queue alone. It publishes through the default exchange,
    which RabbitMQ does not bound by queue: a virtual host an environment is the wall."""
    host = str(connection.fields.get("vhost") or "/")
    exact = f"^{re.escape(queue)}$"
    words = [
        "rabbitmqctl",
        "set_permissions",
        "-p",
        host,
        account,
        "^$",
        f"^({re.escape(queue)}|amq\\.default)$",
        exact,
    ]
    return PolicyFile(f"{_file(connection)}.sh", shlex.join(words) + "\n", "run it on the broker")


def _kafka(connection: Connection, queue: str, account: str) -> PolicyFile:
    group = str(connection.fields.get("group") or queue)
    start = ["kafka-acls", "--bootstrap-server", str(connection.fields.get("host") or "localhost:9092"), "--add",
             "--allow-principal", f"User:{account}", "--resource-pattern-type", "literal"]  # fmt: skip
    topic = [*start, "--topic", queue, "--operation", "Read", "--operation", "Write", "--operation", "Describe"]
    lines = [shlex.join(topic), shlex.join([*start, "--group", group, "--operation", "Read"])]
    return PolicyFile(f"{_file(connection)}.sh", "\n".join(lines) + "\n", "run it with an admin client's config")
