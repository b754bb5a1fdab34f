"""Who sees which collections: their own and public ones, staff all. Who may change them: the owner, and staff."""

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404

from collections_app.models import Collection, CollectionQuerySet, Visibility

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Reader = AbstractBaseUser | AnonymousUser


def visible(reader: "Reader") -> CollectionQuerySet:
    """The live collections that *reader* may look at, without their vendor's keys."""
    found = Collection.objects.live().defer("embedding_api_key")
    if is_staff(reader):
        return found
    return found.filter(Q(owner=reader.get_username()) | Q(visibility=Visibility.PUBLIC))


def may_change(reader: "Reader", collection: Collection) -> bool:
    return is_staff(reader) or collection.owner == reader.get_username()


def is_staff(reader: "Reader") -> bool:
    return bool(getattr(reader, "is_staff", False))


def collection_for(reader: "Reader", number: int) -> Collection:
    """:raises Http404: also for one that somebody else has: that it exists is nobody's business"""
    found = visible(reader).filter(pk=number).first()
    if found is None:
        raise Http404
    return found


def own_collection(reader: "Reader", number: int) -> Collection:
    """One that *reader* may change.

    :raises Http404, PermissionDenied:
    """
    found = collection_for(reader, number)
    if not may_change(reader, found):
        raise PermissionDenied
    return found
