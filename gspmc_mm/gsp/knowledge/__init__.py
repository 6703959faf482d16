"""A searchable knowledge base of sign dictionaries: entries, folders on disk, retrieval, references."""
