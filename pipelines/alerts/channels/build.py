"""The channels that the settings switch on, and the one place where their secrets are handed over."""

from contextlib import ExitStack
from pathlib import Path

from pydantic import SecretStr

from pipelines.alerts.channels.base import Channel
from pipelines.alerts.channels.http import Endpoint
from pipelines.alerts.channels.mail import Email
from pipelines.alerts.channels.ocsf import OcsfFile, ocsf_topic
from pipelines.alerts.channels.osprey import osprey_topic
from pipelines.alerts.channels.pagerduty import PagerDuty
from pipelines.alerts.channels.slack import Slack
from pipelines.alerts.channels.topic import SCHEME, TopicWriter, cloudevents_topic
from pipelines.alerts.channels.webhook import Webhook
from pipelines.settings import AlertSettings, Settings


def build_channels(settings: Settings, stack: ExitStack) -> list[Channel]:
    """Every channel with an address, closed with the stack. Raises UsageError for an address that is none."""
    a = settings.alerts
    channels: list[Channel] = []
    if a.slack.url is not None:
        channels.append(Slack(_endpoint(a, "alerts.slack.url", a.slack.url), a.name))
    if a.webhook.url is not None:
        endpoint = _endpoint(a, "alerts.webhook.url", a.webhook.url)
        channels.append(Webhook(endpoint, a.webhook.key, a.name))
    if a.pagerduty.routing_key is not None:
        endpoint = _endpoint(a, "alerts.pagerduty.url", SecretStr(a.pagerduty.url))
        channels.append(PagerDuty(endpoint, a.pagerduty.routing_key, a.name))
    if a.email.host is not None:
        channels.append(Email(a.email, a.name, a.timeout_seconds))
    if a.kafka is not None:
        channels.append(cloudevents_topic(_writer(settings, a.kafka), a.name))
    if a.ocsf is not None and a.ocsf.startswith(SCHEME):
        channels.append(ocsf_topic(_writer(settings, a.ocsf), a.name, a.is_shadow))
    elif a.ocsf is not None:
        channels.append(OcsfFile(Path(a.ocsf), a.name, a.is_shadow))
    if a.osprey is not None:
        channels.append(osprey_topic(_writer(settings, a.osprey), a.name))
    for channel in channels:
        stack.callback(channel.close)
    return channels


def _endpoint(alerts: AlertSettings, setting: str, url: SecretStr) -> Endpoint:
    return Endpoint(setting, url, alerts.timeout_seconds)


def _writer(settings: Settings, address: str) -> TopicWriter:
    from pipelines.ingest.kafka.address import parse_address

    return TopicWriter(parse_address(address), settings.kafka, settings.alerts.timeout_seconds)
