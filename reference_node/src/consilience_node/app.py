"""Puts a node together: configuration -> engines -> skills -> `consilience.server.Node`. Nothing else does.

Example::

    async with assembled(config, metrics=NodeMetrics()) as node, node.serving(config.node.address) as running:
        print(running.address)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

from consilience.client.reviews import Registries
from consilience.nodes import DataPolicy, Model, host_is_loopback
from consilience.server import Node, Tls
from consilience_node.config import Config, OpenAIModel, SkillTable
from consilience_node.engine_room import running_engines
from consilience_node.engines import Engine
from consilience_node.knowledge.retrieval import Retriever
from consilience_node.library import open_library
from consilience_node.metrics import NodeMetrics
from consilience_node.offers import offers_of, prices_questions
from consilience_node.roots import check_root, next_root_of, successions_of
from consilience_node.skills.catalogue import grounded_skill, plain_skill
from consilience_node.skills.disclosures import disclosed_model
from consilience_node.skills.grounded import GroundedSkill
from consilience_node.skills.plain import PlainSkill
from consilience_node.skills.token_limits import card_limits
from consilience_node.state import StateFolder


@asynccontextmanager
async def assembled(config: Config, *, metrics: NodeMetrics) -> AsyncIterator[Node]:
    """Loads models and knowledge, and yields the node that answers with them.

    Args:
        config: What is to be served.
        metrics: Counts what the node does.

    Raises:
        EngineError: A model cannot be run.
        KnowledgeError: A source cannot be read.
        StateFolderError: The state folder cannot be made, or another node works on it.
        LostRootKeyError: A node was here before, and its root key is gone.
    """
    state = StateFolder.of(config)
    state.make()
    queue = config.limits.max_running_asks
    is_shared = config.node.store == "sqlite"  # by replicas, of which the store of answers lets each be there once
    with state.held(shared=is_shared):
        check_root(config)
        async with (
            open_library(config.skills, state=state) as retrievers,
            running_engines(config.models, queue=queue, metrics=metrics) as engines,
            Registries(card_file=state.seen_cards) as peers,
        ):
            models = {name: disclosed_model(engine.model, id=name) for name, engine in engines.items()}
            skills = [
                _skill(
                    config,
                    table,
                    retriever=retrievers.get(table.id),
                    engine=engines[table.model],
                    model=models[table.model],
                )
                for table in config.skills
            ]
            yield _node(config, state=state, models=models.values(), skills=skills, metrics=metrics, peers=peers)


def _node(
    config: Config,
    *,
    state: StateFolder,
    models: Iterable[Model],
    skills: Sequence[PlainSkill | GroundedSkill],
    metrics: NodeMetrics,
    peers: Registries,
) -> Node:
    node = Node(
        config.node.name,
        description=config.node.description,
        key=StateFolder.root_key_of(config),
        next_root=next_root_of(config),
        successions=successions_of(config),
        kept_card=state.card,
        limits=card_limits(config.limits.limits(), skills=[skill.described for skill in skills]),
        data_policy=data_policy(config),
        models=models,
        store=f"sqlite:///{state.answers}" if config.node.store == "sqlite" else None,
        tls=tls_of(config, state=state),
        observer=metrics,
        drain_time=timedelta(seconds=config.node.drain_seconds),
        replica=config.node.replica,
        payments=None if config.payments is None else config.payments.payments(),
        conformance=config.conformance.enabled,
        registry=None if config.registry is None else config.registry.registry(default_file=state.records),
        registries=config.node.registries,
        peers=peers,
    )
    for table, skill in zip(config.skills, skills, strict=True):
        offers = offers_of(config, table, skill=skill.described)
        node.add_skill(skill.described, handler=skill.answer, offers=offers, check=skill.check)
    return node


def _skill(
    config: Config, table: SkillTable, *, retriever: Retriever | None, engine: Engine, model: Model
) -> PlainSkill | GroundedSkill:
    node_limits = config.limits.limits()
    if retriever is not None:
        return grounded_skill(table, retriever=retriever, engine=engine, model=model, node_limits=node_limits)
    counts_questions = prices_questions(config, table)
    return plain_skill(table, engine=engine, model=model, node_limits=node_limits, counts_questions=counts_questions)


def data_policy(config: Config) -> DataPolicy:
    """Returns what becomes of asks; they are forwarded where a model runs on another machine."""
    hosts = [urlsplit(model.base_url).hostname or "" for model in config.models if isinstance(model, OpenAIModel)]
    return DataPolicy(
        max_data_class=config.data_policy.max_data_class,
        forwards_asks=not all(map(host_is_loopback, hosts)),
        jurisdictions=config.data_policy.jurisdictions,
    )


def tls_of(config: Config, *, state: StateFolder) -> Tls | None:
    """Returns how others can trust the transport; None: they need not, because only this machine can call."""
    table = config.tls
    host = config.node.address.rpartition(":")[0].strip("[]")
    if table is None:
        return None if host_is_loopback(host) else Tls.pinned(state.certificate)
    if table.mode == "webpki" and table.certificate is not None and table.key is not None:
        return Tls.webpki(certificate=table.certificate, key=table.key)
    return Tls.pinned(table.certificate or state.certificate)
