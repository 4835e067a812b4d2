"""Companies and their API keys."""

from __future__ import annotations

from ledger import commands as c
from ledger import events as e
from ledger.actors import Permission, Role
from ledger.decisions.base import Decision, forbidden, not_found
from ledger.errors import Invalid, Taken
from ledger.facts import COMPANY
from ledger.known import Known
from ledger.state import Key
from ledger.workflow import WORKFLOWS


def create(command: c.CreateCompany, known: Known) -> Decision:
    """A company begins once, with a workflow that exists."""
    if known.company is not None:
        raise Taken("This company exists already.", pointer="/company_id")
    if command.workflow not in WORKFLOWS:
        raise Invalid(
            f"There is no workflow {command.workflow!r}; choose one of {', '.join(WORKFLOWS)}.",
            pointer="/workflow",
        )
    created = e.CompanyCreated(
        name=command.company_name, workflow=command.workflow, issue_prefix=command.issue_prefix
    )
    return Decision(COMPANY, COMPANY, ((COMPANY, created),))


def create_key(command: c.CreateKey, known: Known) -> Decision:
    """Only an owner makes another owner. The actor need not be in the directory."""
    _permit_owner_keys(command, command.key_role)
    key = ("key", command.key_id)
    if known[key] is not None:
        raise Taken("This key id is in use.", pointer="/key_id")
    entry = known.entry(command.key_actor.type, command.key_actor.id)
    actor = command.key_actor._replace(id=entry.id) if entry else command.key_actor
    created = e.KeyCreated(
        role=command.key_role,
        actor=str(actor),
        name=command.key_name,
        secret_sha256=command.secret_sha256,
    )
    return Decision(key, key, ((key, created),))


def rename_key(command: c.RenameKey, known: Known) -> Decision:
    """The same name again is no change."""
    stream = ("key", command.key_id)
    key = the_key(command, known)
    if key.name == command.key_name:
        return Decision(stream, stream, ())
    renamed = e.KeyRenamed(from_name=key.name, to_name=command.key_name)
    return Decision(stream, stream, ((stream, renamed),))


def revoke_key(command: c.RevokeKey, known: Known) -> Decision:
    """Revoking twice is agreement, not an error."""
    stream = ("key", command.key_id)
    key = the_key(command, known)
    return Decision(stream, stream, () if key.revoked_at else ((stream, e.KeyRevoked()),))


def the_key(command: c.RenameKey | c.RevokeKey, known: Known) -> Key:
    """The key that a command is about; raises NotFound, or Forbidden for an owner's."""
    key = known.key(command.key_id)
    if key is None:
        raise not_found("key", command.key_id)
    _permit_owner_keys(command, Role(key.role))
    return key


def _permit_owner_keys(command: c.Command, key_role: Role) -> None:
    if key_role is Role.OWNER and not command.role.may(Permission.OWN):
        raise forbidden(command.role, Permission.OWN)
