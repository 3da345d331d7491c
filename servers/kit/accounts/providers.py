"""Which provider is where; only those that are used are loaded."""

from importlib import import_module

from servers.kit.accounts.provider import Provider

# Module and class; the class is made without arguments and reads its own settings.
_CLASSES = {"google": ("servers.kit.google.provider", "GoogleProvider")}


def provider_of(name: str) -> Provider:
    """The provider that a manifest names."""
    module, class_name = _CLASSES[name]
    return getattr(import_module(module), class_name)()
