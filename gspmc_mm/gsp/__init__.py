"""From dictionaries and expert codings to descriptions of signs.

`knowledge` finds what dictionaries say about a sign, `pipeline` asks a language model to put it into words (through
`prompting` and `client`), `grounding` checks every word against the entries, `extractive` does without a model, and
`asl_lex` writes texts from expert codings by templates. Nothing is imported here: each of them needs other libraries.
"""
