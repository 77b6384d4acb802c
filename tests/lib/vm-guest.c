/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The demo guest of tests: started, listened to, asked. See vm.h. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/vm.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define POLL_US 20000
#define MAX_PAGE 65536

/* A port that was free a moment ago. */
static guint
free_port(void)
{
    g_auto(MoseFd) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, len), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&addr, &len), ==, 0);
    return ntohs(addr.sin_port);
}

VmGuest *
vm_guest_new(const char *name)
{
    VmGuest *guest = g_new0(VmGuest, 1);
    g_autofree char *console = g_strdup_printf("%s.console", name);
    g_autofree char *shell = g_strdup_printf("%s.shell", name);

    guest->name = g_strdup(name);
    guest->console = vm_path(console);
    guest->shell = vm_path(shell);
    guest->port = free_port();
    guest->address = "127.0.0.1";
    guest->forwarded = TRUE;
    return guest;
}

void
vm_guest_free(VmGuest *guest)
{
    if (!guest)
        return;
    g_free(guest->name);
    g_free(guest->console);
    g_free(guest->shell);
    g_free(guest->images);
    g_free(guest);
}

static void
add_words(GPtrArray *words, const char *text)
{
    g_auto(GStrv) split = NULL;

    if (!text || !g_shell_parse_argv(text, NULL, &split, NULL))
        return;
    for (char **word = split; *word; word++)
        g_ptr_array_add(words, g_strdup(*word));
}

static void add_printf(GPtrArray *words, const char *option, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
add_printf(GPtrArray *words, const char *option, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, g_strdup_vprintf(format, args));
    va_end(args);
}

/* Words that the caller has given already are not given twice. */
static gboolean
has(const char *text, const char *option)
{
    return text && strstr(text, option);
}

static char *
image_of(const VmGuest *guest, const char *name)
{
    return guest->images ? g_build_filename(guest->images, name, NULL) : vm_image(name);
}

void
vm_run(VmGuest *guest, const char *options, const char *extra, const char *append)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *kernel = image_of(guest, "bzImage");
    g_autofree char *initrd = image_of(guest, "initrd.gz");

    add_printf(words, "run", "%s", guest->name);
    add_words(words, options);
    add_printf(words, "--", "-nodefaults");
    if (!has(extra, "-m "))
        add_printf(words, "-m", "256");
    if (!has(extra, "-kernel "))
        add_printf(words, "-kernel", "%s", kernel);
    add_printf(words, "-initrd", "%s", initrd);
    add_printf(words, "-append", "console=ttyS0 %s", append ? append : "");
    add_printf(words, "-serial", "file:%s", guest->console);
    add_printf(words, "-serial", "unix:%s,server=on,wait=off", guest->shell);
    if (guest->port && guest->forwarded) {
        add_printf(words, "-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:%u-:80",
                   guest->port);
        add_printf(words, "-device", "virtio-net-pci,netdev=net,romfile=");
    }
    add_words(words, extra);
    g_ptr_array_add(words, NULL);
    g_assert_cmpint(vm_mosev(NULL, NULL, (const char *const *)words->pdata), ==, 0);
}

gboolean
vm_console_has(const VmGuest *guest, const char *text)
{
    g_autofree char *console = NULL;
    gsize len;

    return g_file_get_contents(guest->console, &console, &len, NULL) &&
           g_strstr_len(console, len, text);
}

void
vm_wait_console(const VmGuest *guest, const char *text, int seconds)
{
    gint64 deadline = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

    while (!vm_console_has(guest, text)) {
        if (g_get_monotonic_time() > deadline) {
            g_autofree char *console = NULL;

            g_file_get_contents(guest->console, &console, NULL, NULL);
            g_error("no '%s' on the console within %d s:\n%s", text, seconds, console);
        }
        g_usleep(POLL_US);
    }
}

/* One request, its whole reply; NULL when the guest does not answer. */
static char *
get_page(const VmGuest *guest, const char *path, int timeout_ms)
{
    g_auto(MoseFd) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(guest->port) };
    struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
    g_autofree char *request =
        g_strdup_printf("GET %s HTTP/1.0\r\nHost: guest\r\n\r\n", path);
    g_autofree char *reply = g_malloc0(MAX_PAGE);
    gsize len = 0;
    ssize_t n;

    addr.sin_addr.s_addr = inet_addr(guest->address);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return NULL;
    while (len < MAX_PAGE - 1 && (n = recv(fd, reply + len, MAX_PAGE - 1 - len, 0)) > 0)
        len += n;
    return len ? g_steal_pointer(&reply) : NULL;
}

static gint64
host_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * G_GINT64_CONSTANT(1000000000) + ts.tv_nsec;
}

JsonObject *
vm_status_page(const VmGuest *guest, int seconds, gint64 *ret_host_ns)
{
    gint64 deadline = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

    do {
        gint64 before = host_ns(), after;
        g_autofree char *reply = get_page(guest, "/cgi-bin/status", 2000);
        const char *body = reply ? strstr(reply, "\r\n\r\n") : NULL;
        JsonObject *page;

        after = host_ns();
        page = body ? mose_json_parse(body, -1, "status page", NULL) : NULL;
        if (page) {
            if (ret_host_ns)
                *ret_host_ns = before + (after - before) / 2;
            return page;
        }
        g_usleep(POLL_US);
    } while (g_get_monotonic_time() < deadline);
    return NULL;
}

JsonObject *
vm_assert_healthy(const VmGuest *guest)
{
    JsonObject *page = vm_status_page(guest, 20, NULL);
    g_autofree char *text = page ? mose_json_text(page, FALSE) : g_strdup("no answer");

    g_test_message("%s: %s", guest->name, text);
    g_assert_nonnull(page);
    if (mose_json_int(page, "kernel_trouble", -1) != 0 ||
        mose_json_int(mose_json_child(page, "worker"), "errors", 0) != 0 ||
        vm_console_has(guest, "MOSE-GUEST ERROR"))
        g_error("the guest has come to harm: %s", text);
    return page;
}

gint64
vm_clock_difference(const VmGuest *guest)
{
    gint64 best = G_MAXINT64, ret = 0;

    /* The quicker the answer, the less can the reading be off. */
    for (int i = 0; i < 7; i++) {
        gint64 before = host_ns(), middle, took;
        g_autoptr(JsonObject) page = vm_status_page(guest, 20, &middle);

        took = host_ns() - before;
        g_assert_nonnull(page);
        if (took < best) {
            best = took;
            ret = mose_json_int(page, "monotonic_ns", 0) - middle;
        }
    }
    return ret;
}

#define SHELL_DONE "SHELL-DONE"

/* Whether the guest's shell has said it to the end of the line. */
static gboolean
is_said(const char *text)
{
    const char *end = strstr(text, SHELL_DONE);

    return end && strchr(end, '\n');
}

char *
vm_shell_output(const VmGuest *guest, const char *command)
{
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_unix_connect(guest->shell, &error);
    g_autofree char *line = g_strdup_printf("%s\necho SHELL-''DONE\n", command);
    g_autoptr(GString) said = g_string_new(NULL);
    char piece[256];
    char *end;
    ssize_t n;

    g_assert_no_error(error);
    mose_fd_write_all(fd, line, strlen(line), guest->shell, &error);
    g_assert_no_error(error);
    /* QEMU forgets what it has not read yet of a connection that is closed; what the
     * guest has not sent yet, the end of this line, would come to the next one. */
    while (!is_said(said->str) && (n = read(fd, piece, sizeof(piece))) > 0)
        g_string_append_len(said, piece, n);
    g_assert_true(is_said(said->str));
    end = strstr(said->str, SHELL_DONE);
    *end = '\0';
    g_test_message("%s: %s\n%s", guest->name, command, said->str);
    return g_string_free(g_steal_pointer(&said), FALSE);
}

void
vm_shell(const VmGuest *guest, const char *command)
{
    g_free(vm_shell_output(guest, command));
}

char *
vm_state(const VmGuest *guest)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", guest->name, NULL);

    return g_strdup(mose_json_string(status, "state", ""));
}
