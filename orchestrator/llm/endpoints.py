"""Every place that models are asked at: OpenRouter, and the endpoints that the owner names."""

import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.background import running
from orchestrator.domain.model_info import ModelInfo, ModelPricing
from orchestrator.domain.model_settings import (
    OPENROUTER,
    ModelEndpoint,
    Parameters,
    ProviderRouting,
)
from orchestrator.environment import secret_variable
from orchestrator.errors import ModelAuthError, ModelError, UnknownEndpoint
from orchestrator.llm.accounts import generation_usage, key_sentence
from orchestrator.llm.catalog import ModelCatalog, Shelf
from orchestrator.llm.deltas import CompletionRequest, Usage
from orchestrator.llm.endpoint import Endpoint, Secret, speaks_openrouter
from orchestrator.llm.model_ids import split_model_id
from orchestrator.llm.openrouter import OpenRouterClient
from orchestrator.llm.request import left_out
from orchestrator.llm.stream import CompletionStream, Target
from orchestrator.settings import is_own_variable

Named = Mapping[str, ModelEndpoint]


@dataclass(frozen=True, slots=True)
class EndpointCheck:
    """Whether an endpoint can be used; `sentence` says how it stands, or what to do."""

    endpoint: str
    is_good: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class EndpointModels:
    """What one endpoint offers, as far as is known."""

    endpoint: Endpoint
    models: tuple[ModelInfo, ...]
    shelf: Shelf


class ModelEndpoints:
    """One per process. Use `async with`.

    Endpoints are looked up for each request, so a change of the settings counts from the next one
    on, and streams that run keep what they began with. All of them share the connections.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Secret | str | None,
        *,
        cache_dir: Path,
        named: Callable[[], Named] = dict,
        secret: Callable[[str], str | None] = lambda _name: None,
        ssl_context: ssl.SSLContext | None = None,
        retry_delay_s: float = 0.5,
    ) -> None:
        """`base_url` and `api_key` are OpenRouter's.

        `named` gives the owner's endpoints as they are now, `secret` a value from the vault;
        lists of models are kept in `cache_dir`.
        """
        self._openrouter = OpenRouterClient(
            base_url,
            api_key,
            ssl_context=ssl_context,
            is_openrouter=speaks_openrouter(base_url),
            retry_delay_s=retry_delay_s,
        )
        self._named = named
        self._secret = secret
        self._catalog = ModelCatalog(self._listable, self._fetch, cache_dir)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._openrouter)
        await self._stack.enter_async_context(running(self._catalog.keep_fresh()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def stream(self, request: CompletionRequest) -> AsyncGenerator[CompletionStream]:
        """Give a stream to iterate over, from the first of the request's models that answers.

        Nothing is raised before iterating; then ModelError, UnknownEndpoint among others.
        """
        async with self._openrouter.stream(request, self._target) as stream:
            yield stream

    def endpoint_of(self, model: str) -> Endpoint:
        """Return the endpoint of a model, without its key. Raises UnknownEndpoint."""
        name, _ = split_model_id(model, self._named())
        return self._endpoint(name)

    def names(self) -> list[str]:
        """Return the names of all endpoints."""
        return [OPENROUTER, *self._named()]

    async def info(self, model: str) -> ModelInfo | None:
        """Return what is known of a model: nothing at an endpoint that there is not.

        Never waits for an endpoint.
        """
        try:
            name, wire_model = split_model_id(model, self._named())
        except UnknownEndpoint:
            return None
        endpoint = self._endpoint(name)
        found = await self._catalog.known(endpoint.model_id(wire_model), endpoint)
        if found is None and wire_model in endpoint.prices:
            found = ModelInfo(id=endpoint.model_id(wire_model), endpoint=name, name=wire_model)
        return found and _with_price(found, endpoint)

    async def takes_images(self, model: str) -> bool:
        """Return False only when the list says so; a model that is not on it may take them."""
        try:
            name, wire_model = split_model_id(model, self._named())
        except UnknownEndpoint:
            return True
        endpoint = self._endpoint(name)
        return await self._catalog.takes_images(endpoint.model_id(wire_model), endpoint)

    async def left_out(
        self, model: str, parameters: Parameters, provider: ProviderRouting
    ) -> tuple[str, ...]:
        """Return, in dots, the settings that a model would not be sent. Raises UnknownEndpoint."""
        endpoint = self.endpoint_of(model)
        return left_out(parameters, provider, await self.info(model), endpoint)[1]

    async def listed(self) -> list[EndpointModels]:
        """Return what every endpoint offers, at once unless nothing was ever known of one."""
        return self._gathered(await self._catalog.shelves())

    async def refresh(self) -> list[EndpointModels]:
        """Return the same after asking every endpoint anew; `shelf.problem` says who failed."""
        return self._gathered(await self._catalog.refresh())

    async def generation_cost(self, model: str, generation_id: str) -> Usage | None:
        """Return what a request took, None while its endpoint does not know or never tells.

        Raises ModelError when it cannot be asked.
        """
        name, _ = split_model_id(model, self._named())
        endpoint = self._with_key(name)
        if not endpoint.is_openrouter:
            return None
        return await generation_usage(self._openrouter.session, endpoint, generation_id)

    async def check(self) -> list[EndpointCheck]:
        """Ask every endpoint whether it is there and takes its key."""
        return [await self.check_one(name) for name in self.names()]

    async def check_one(self, name: str) -> EndpointCheck:
        """Ask the endpoint of that name; it may take a while."""
        try:
            endpoint = self._with_key(name)
            sentence = None
            if endpoint.is_openrouter:
                sentence = await key_sentence(self._openrouter.session, endpoint)
            if sentence is None:
                count = len(await self._openrouter.models(endpoint))
                lists = "1 model" if count == 1 else f"{count} models"
                sentence = f"{endpoint.name} at {endpoint.host} answers and lists {lists}."
        except ModelError as error:
            return EndpointCheck(name, False, str(error))
        return EndpointCheck(name, True, sentence)

    def _target(self, model: str) -> Target:
        name, wire_model = split_model_id(model, self._named())
        endpoint = self._with_key(name)
        info = self._catalog.at_hand(endpoint.model_id(wire_model), endpoint)
        return Target(endpoint, wire_model, info)

    def _gathered(self, shelves: Mapping[str, Shelf]) -> list[EndpointModels]:
        """Leave out what was removed while we waited."""
        still = [(self._endpoint(name), shelves[name]) for name in self.names() if name in shelves]
        return [
            EndpointModels(
                endpoint,
                tuple(_with_price(model, endpoint) for model in shelf.models.values()),
                shelf,
            )
            for endpoint, shelf in still
        ]

    async def _fetch(self, endpoint: Endpoint) -> list[ModelInfo]:
        return await self._openrouter.models(self._with_key(endpoint.id))

    def _listable(self) -> list[Endpoint]:
        return [self._endpoint(name) for name in self.names()]

    def _endpoint(self, name: str) -> Endpoint:
        if name == OPENROUTER:
            return self._openrouter.endpoint
        config = self._named()[name]
        return Endpoint(
            config.base_url,
            api_key="",
            app_title=self._openrouter.endpoint.app_title,
            app_url=self._openrouter.endpoint.app_url,
            name=config.title or name,
            key_setting=_key_setting(config),
            url_setting=f"the base_url of the endpoint {name!r}",
            is_openrouter=speaks_openrouter(config.base_url),
            id=name,
            prices=config.prices,
        )

    def _with_key(self, name: str) -> Endpoint:
        """Return an endpoint as requests need it. Raises ModelAuthError when its key is not set."""
        endpoint = self._endpoint(name)
        return endpoint if name == OPENROUTER else replace(endpoint, api_key=self._key(name))

    def _key(self, name: str) -> str:
        config = self._named()[name]
        variable, stored = config.api_key_env, config.api_key_secret
        if variable is None and stored is None:
            return ""
        if variable is not None and is_own_variable(variable):
            raise ModelAuthError(
                f"{variable} is a setting of Flotilla and not sent to {config.title or name}. "
                "Put its key in a variable of its own, or in the vault."
            )
        key = variable and secret_variable(variable)
        key = key or (stored and self._secret(stored))
        if not key:
            raise ModelAuthError(f"{config.title or name} has no key. Set {_key_setting(config)}.")
        return key.strip()


def _key_setting(config: ModelEndpoint) -> str:
    places = [
        *([config.api_key_env] if config.api_key_env else []),
        *([f"the secret {config.api_key_secret!r}"] if config.api_key_secret else []),
    ]
    return " or ".join(places) or "api_key_env of the endpoint"


def _with_price(info: ModelInfo, endpoint: Endpoint) -> ModelInfo:
    """Return what is known of a model with the price the owner gave, which counts."""
    price = endpoint.prices.get(info.id.removeprefix(f"{endpoint.id}:"))
    if price is None:
        return info
    pricing = ModelPricing(prompt=price.prompt, completion=price.completion)
    return info.model_copy(update={"pricing": pricing})
