"""The process that reads one document: bounded memory and time, no network, nothing to write to.

`extraction.py` starts it as `python -m orchestrator.attachments.extract_worker MIME` with the
document as standard input. It answers with one JSON object: `{"text", "notes", "is_truncated"}`,
or `{"error"}` with a sentence for the owner. Whatever else it does means that it could not bear
the document. The libraries that read documents are imported here and nowhere else.
"""
