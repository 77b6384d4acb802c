/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words that expressions (type-parse.c) are made of. */
#pragma once

#include <glib.h>

typedef struct {
    const char *text, *at;
} MoseExprLexer;

/* INVALID: "@what at ...". NULL. */
gpointer mose_expr_lex_fail(MoseExprLexer *lexer, GError **error, const char *what);

void mose_expr_lex_space(MoseExprLexer *lexer);

/* The token, if it is next. */
gboolean mose_expr_lex_take(MoseExprLexer *lexer, const char *token);
gboolean mose_expr_lex_expect(MoseExprLexer *lexer, const char *token, GError **error);

gboolean mose_expr_starts_name(char c);
gboolean mose_expr_continues_name(char c);

/* A name, or what stands in double quotes; with "module:" in front where @qualified.
 * NULL: there is none. */
char *mose_expr_lex_name(MoseExprLexer *lexer, gboolean qualified);
gboolean mose_expr_lex_number(MoseExprLexer *lexer, guint64 *ret, GError **error);

/* "struct NAME", "unsigned long", "NAME"; and the stars behind it. */
char *mose_expr_lex_type(MoseExprLexer *lexer, GError **error);
guint mose_expr_lex_stars(MoseExprLexer *lexer);

/* A keyword of C's that is part of a type's name. */
gboolean mose_expr_is_type_word(const char *word);
