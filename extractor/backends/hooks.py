"""Layers by module name: hooks that keep what a module gives, for models whose graph is not traced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from extractor.layers import nearest_layers
from workbench.errors import UserError

if TYPE_CHECKING:
    import torch


class Hooks:
    """What the named modules of a network gave in the last forward pass.

    Raises
    ------
    UserError : the network has no module of a name; the nearest is named.
    """

    def __init__(self, network: torch.nn.Module, names: Iterable[str], title: str, where: str) -> None:
        modules = dict(network.named_modules())
        self._where = where
        self._title = title
        self._names = list(names)
        self._kept: dict[str, Any] = {}
        for name in self._names:
            if not name or name not in modules:
                legal = [module for module in modules if module]
                raise UserError(f"{title} has no layer {name!r}", where=where, mend=nearest_layers(name, legal))
            modules[name].register_forward_hook(self._keep(name))

    def take(self) -> dict[str, Any]:
        """Name -> output of the pass that is just over; nothing is held afterwards.

        Raises
        ------
        UserError : a module took no part in the pass.
        """
        kept, self._kept = self._kept, {}
        for name in self._names:
            if name not in kept:
                raise UserError(
                    f"layer {name!r} of {self._title} is not used when features are extracted",
                    where=self._where,
                    mend="choose the layer around it",
                )
        return kept

    def _keep(self, name: str) -> Any:
        def hook(_module: Any, _inputs: Any, result: Any) -> None:
            self._kept[name] = result[0] if isinstance(result, (tuple, list)) and result else result

        return hook
