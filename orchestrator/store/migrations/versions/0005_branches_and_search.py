"""Which branch was shown last, and a full-text index that has the results of tools, too."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The index holds no second copy of the text: it reads `searchable`, where the text of a message of
# role `tool` is that of its call. Rows of calls and messages go in either order when a session is
# deleted, and whichever goes first takes the entry along.
_FULL_TEXT = (
    "DROP TRIGGER messages_text_insert",
    "DROP TRIGGER messages_text_delete",
    "DROP TRIGGER messages_text_update",
    "DROP TABLE messages_text",
    """
    CREATE VIEW searchable AS
    SELECT m.position AS position, coalesce(t.text, m.content) AS content
    FROM messages AS m LEFT JOIN tool_calls AS t ON t.id = m.tool_call_id
    """,
    """
    CREATE VIRTUAL TABLE messages_text USING fts5(
        content, content='searchable', content_rowid='position',
        tokenize='unicode61 remove_diacritics 2'
    )
    """,
    "INSERT INTO messages_text(messages_text) VALUES ('rebuild')",
    """
    CREATE TRIGGER messages_text_insert AFTER INSERT ON messages BEGIN
        INSERT INTO messages_text(rowid, content)
        SELECT position, content FROM searchable WHERE position = new.position;
    END
    """,
    """
    CREATE TRIGGER messages_text_delete AFTER DELETE ON messages
    WHEN old.tool_call_id IS NULL BEGIN
        INSERT INTO messages_text(messages_text, rowid, content)
        VALUES ('delete', old.position, old.content);
    END
    """,
    """
    CREATE TRIGGER messages_text_delete_result AFTER DELETE ON messages
    WHEN old.tool_call_id IS NOT NULL BEGIN
        INSERT INTO messages_text(messages_text, rowid, content)
        SELECT 'delete', old.position, text FROM tool_calls WHERE id = old.tool_call_id;
    END
    """,
    """
    CREATE TRIGGER messages_text_delete_call AFTER DELETE ON tool_calls BEGIN
        INSERT INTO messages_text(messages_text, rowid, content)
        SELECT 'delete', position, old.text FROM messages WHERE tool_call_id = old.id;
    END
    """,
    """
    CREATE TRIGGER messages_text_update AFTER UPDATE OF content ON messages
    WHEN old.tool_call_id IS NULL BEGIN
        INSERT INTO messages_text(messages_text, rowid, content)
        VALUES ('delete', old.position, old.content);
        INSERT INTO messages_text(rowid, content) VALUES (new.position, new.content);
    END
    """,
    """
    CREATE TRIGGER messages_text_update_call AFTER UPDATE OF text ON tool_calls BEGIN
        INSERT INTO messages_text(messages_text, rowid, content)
        SELECT 'delete', position, old.text FROM messages WHERE tool_call_id = old.id;
        INSERT INTO messages_text(rowid, content)
        SELECT position, new.text FROM messages WHERE tool_call_id = new.id;
    END
    """,
)


def upgrade() -> None:
    op.add_column("messages", sa.Column("left_at", sa.Text(), nullable=True))
    op.create_index("messages_by_tool_call", "messages", ["tool_call_id"])
    op.drop_index("messages_by_parent", "messages")
    op.create_index("messages_by_parent", "messages", ["parent_id", "session_id"])
    for statement in _FULL_TEXT:
        op.execute(statement)
