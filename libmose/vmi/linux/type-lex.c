/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of expressions. See type-lex.h. */
#include "vmi/linux/type-lex.h"

#include <string.h>

#include "util/error.h"

gpointer
mose_expr_lex_fail(MoseExprLexer *lexer, GError **error, const char *what)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s at '%.24s' (character %zu)",
                what, lexer->at, (gsize)(lexer->at - lexer->text) + 1);
    return NULL;
}

void
mose_expr_lex_space(MoseExprLexer *lexer)
{
    while (g_ascii_isspace(*lexer->at))
        lexer->at++;
}

gboolean
mose_expr_lex_take(MoseExprLexer *lexer, const char *token)
{
    mose_expr_lex_space(lexer);
    if (!g_str_has_prefix(lexer->at, token))
        return FALSE;
    lexer->at += strlen(token);
    return TRUE;
}

gboolean
mose_expr_lex_expect(MoseExprLexer *lexer, const char *token, GError **error)
{
    g_autofree char *what = NULL;

    if (mose_expr_lex_take(lexer, token))
        return TRUE;
    what = g_strdup_printf("'%s' expected", token);
    mose_expr_lex_fail(lexer, error, what);
    return FALSE;
}

gboolean
mose_expr_starts_name(char c)
{
    return g_ascii_isalpha(c) || c == '_';
}

gboolean
mose_expr_continues_name(char c)
{
    return g_ascii_isalnum(c) || c == '_';
}

/* A name, of symbols with dots as compilers make them only in quotes, with "module:" in
 * front where @qualified. NULL: there is none. */
char *
mose_expr_lex_name(MoseExprLexer *lexer, gboolean qualified)
{
    const char *begin;

    mose_expr_lex_space(lexer);
    begin = lexer->at;
    if (*begin == '"') {
        const char *end = strchr(begin + 1, '"');

        if (!end || end == begin + 1)
            return NULL;
        lexer->at = end + 1;
        return g_strndup(begin + 1, end - begin - 1);
    }
    if (!mose_expr_starts_name(*begin))
        return NULL;
    while (mose_expr_continues_name(*lexer->at) ||
           (qualified && *lexer->at == ':' && mose_expr_starts_name(lexer->at[1])))
        lexer->at++;
    return g_strndup(begin, lexer->at - begin);
}

gboolean
mose_expr_lex_number(MoseExprLexer *lexer, guint64 *ret, GError **error)
{
    char *end;

    mose_expr_lex_space(lexer);
    if (!g_ascii_isdigit(*lexer->at)) {
        mose_expr_lex_fail(lexer, error, "number expected");
        return FALSE;
    }
    *ret = g_ascii_strtoull(lexer->at, &end,
                            g_ascii_strncasecmp(lexer->at, "0x", 2) == 0 ? 16 : 10);
    if (mose_expr_continues_name(*end)) {
        mose_expr_lex_fail(lexer, error, "no number");
        return FALSE;
    }
    lexer->at = end;
    return TRUE;
}

/* Words that go on with the name of a type. */
gboolean
mose_expr_is_type_word(const char *word)
{
    static const char *const words[] = { "struct", "union", "enum", "unsigned",
                                         "signed", "long",  "int",  "short",
                                         "char",   NULL };

    return g_strv_contains(words, word);
}

static gboolean
is_tag_keyword(const char *word)
{
    static const char *const words[] = { "struct", "union", "enum", NULL };

    return g_strv_contains(words, word);
}

/* "struct NAME", "unsigned long", "NAME"; not its stars. */
char *
mose_expr_lex_type(MoseExprLexer *lexer, GError **error)
{
    g_autoptr(GString) type = g_string_new(NULL);
    gboolean more = TRUE;

    while (more) {
        const char *before = lexer->at;
        g_autofree char *word = mose_expr_lex_name(lexer, TRUE);
        gboolean known = word && mose_expr_is_type_word(word);

        /* "unsigned x": the x is not the type's; "struct x" is. */
        if (!word || (type->len && !known && !is_tag_keyword(type->str))) {
            lexer->at = before;
            break;
        }
        g_string_append_printf(type, "%s%s", type->len ? " " : "", word);
        more = known;
    }
    if (!type->len)
        return mose_expr_lex_fail(lexer, error, "type expected");
    return g_strdup(type->str);
}

guint
mose_expr_lex_stars(MoseExprLexer *lexer)
{
    guint stars = 0;

    while (stars < 8 && mose_expr_lex_take(lexer, "*"))
        stars++;
    return stars;
}
