/* test-escape.c - what comes from outside does nothing to a terminal, in messages and in the log.
 */
#include "base/error.h"
#include "base/escape.h"
#include "base/log.h"

#include <string.h>
#include <unistd.h>

static void
expect(const char *text, size_t max, BkEscape escape, const char *wanted)
{
    g_autofree char *escaped = bk_escape(text, max, escape);

    g_assert_cmpstr(escaped, ==, wanted);
}

static void
test_escapes(void)
{
    expect("", 100, BK_ESCAPE_ALL, "");
    expect("plain \"text\" with ümlauts \\ 日本", 100, BK_ESCAPE_ALL,
           "plain \"text\" with ümlauts \\ 日本");
    expect("\033[2J\a\b\r\x7f", 100, BK_ESCAPE_ALL, "\\x1b[2J\\x07\\x08\\x0d\\x7f");
    expect("a\nb\tc", 100, BK_ESCAPE_ALL, "a\\x0ab\\x09c");
    expect("a\nb\tc\r", 100, BK_ESCAPE_BUT_LINES, "a\nb\tc\\x0d");
    expect("\xc2\x9b"
           "31m",
           100, BK_ESCAPE_ALL, "\\xc2\\x9b31m"); /* C1: CSI */
    expect("\xe2\x80\xae"
           "abc",
           100, BK_ESCAPE_ALL, "\\xe2\\x80\\xaeabc");                      /* right to left */
    expect("\xff\xfe ok \xc3", 100, BK_ESCAPE_ALL, "\\xff\\xfe ok \\xc3"); /* no UTF-8 */
    expect("\xed\xa0\x80", 100, BK_ESCAPE_ALL, "\\xed\\xa0\\x80");         /* half a pair */
    expect("abcdefgh", 8, BK_ESCAPE_ALL, "abcde…");
    expect("ab\033", 5, BK_ESCAPE_ALL, "ab…");
}

static void
test_errors(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *long_text = g_strnfill(100000, 'x');

    (void)bk_throw(&error, BK_ERROR_STORE, "it says \"%s\"", "\033]0;title\a");
    g_assert_cmpstr(error->message, ==, "it says \"\\x1b]0;title\\x07\"");
    (void)bk_prefix(&error, "object \"%s\"", "\033c");
    g_assert_cmpstr(error->message, ==, "object \"\\x1bc\": it says \"\\x1b]0;title\\x07\"");
    g_clear_error(&error);
    (void)bk_throw_null(&error, BK_ERROR_STORE, "two\nlines");
    g_assert_cmpstr(error->message, ==, "two\nlines");
    g_clear_error(&error);
    (void)bk_throw(&error, BK_ERROR_STORE, "%s", long_text);
    g_assert_cmpuint(strlen(error->message), <, 20000);
}

/* What is printed as a command is one word for the shell, whatever is in it. */
static void
test_arguments(void)
{
    static const char *const words[] = {"a b", "it's", "$(reboot)", "", "a;b", "~", "*", "-x y"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autofree char *quoted = bk_escape_argument(words[i]);
        g_autofree char *word = g_shell_unquote(quoted, NULL);

        g_assert_cmpstr(quoted, !=, words[i]);
        g_assert_cmpstr(word, ==, words[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        const char *plain = i == 0 ? "/var/lib/backstay.key" : "name:it-1";
        g_autofree char *quoted = bk_escape_argument(plain);

        g_assert_cmpstr(quoted, ==, plain);
    }
}

static void
test_log(void)
{
    if (g_test_subprocess()) {
        bk_log(BK_LOG_WARNING, "it says \"%s\"", "a\n2026 error: forged\033[1A");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*warning: it says \"a\\x0a2026 error: forged\\x1b*1A\"\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/escape/escapes", test_escapes);
    g_test_add_func("/escape/errors", test_errors);
    g_test_add_func("/escape/arguments", test_arguments);
    g_test_add_func("/escape/log", test_log);
    return g_test_run();
}
