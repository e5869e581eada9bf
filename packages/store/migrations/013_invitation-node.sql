-- The node that answers who comes with an invitation: the one that the token names.
ALTER TABLE invitations ADD COLUMN answered_by TEXT NOT NULL DEFAULT '';
