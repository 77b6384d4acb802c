/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose net` shows what the guest's own /proc/net has: every socket of every kind with
 * its ends, state, queues, user and inode; its owners as /proc/PID/fd tells them; each
 * namespace's own; and the interfaces as /sys and ip(8) do.
 */
#include <arpa/inet.h>
#include <string.h>

#include "lib/kernels.h"
#include "util/json.h"
#include "vm/vmi.h"

#define TRIES 20
#define LOOKS 12

/* --- what /proc/net says, a line a socket --- */

/* A dump of words: "0100007F", or four of them, as the guest's CPU has them. */
static char *
address_of(const char *hex)
{
    guint32 words[4] = { 0 };
    char text[INET6_ADDRSTRLEN];
    guint n = strlen(hex) / 8;

    g_assert_true(n == 1 || n == 4);
    for (guint i = 0; i < n; i++) {
        char word[9] = { 0 };

        memcpy(word, hex + (gsize)i * 8, 8);
        words[i] = GUINT32_TO_LE((guint32)g_ascii_strtoull(word, NULL, 16));
    }
    inet_ntop(n == 1 ? AF_INET : AF_INET6, words, text, sizeof(text));
    return g_strdup_printf(n == 1 ? "%s" : "[%s]", text);
}

/* "0100007F:0050" */
static char *
end_of(const char *word)
{
    g_auto(GStrv) parts = g_strsplit(word, ":", 2);
    g_autofree char *address = address_of(parts[0]);

    return g_strdup_printf("%s:%u", address,
                           (guint)g_ascii_strtoull(parts[1], NULL, 16));
}

/* Linux include/net/tcp_states.h, as ss(8) calls them */
static const char *
state_of(const char *hex)
{
    static const char *const names[] = { NULL,        "ESTAB",      "SYN-SENT",
                                         "SYN-RECV",  "FIN-WAIT-1", "FIN-WAIT-2",
                                         "TIME-WAIT", "UNCONN",     "CLOSE-WAIT",
                                         "LAST-ACK",  "LISTEN",     "CLOSING" };
    guint64 state = g_ascii_strtoull(hex, NULL, 16);

    g_assert_cmpuint(state, <, G_N_ELEMENTS(names));
    g_assert_cmpuint(state, >, 0);
    return names[state];
}

/* "0: LOCAL REMOTE ST TX:RX TR:WHEN RETRNSMT UID TIMEOUT INODE ..." */
static char *
inet_line(const char *kind, char **words)
{
    g_autofree char *local = end_of(words[1]), *remote = end_of(words[2]);
    g_auto(GStrv) queues = g_strsplit(words[4], ":", 2);

    return g_strdup_printf(
        "%s %s %s %s rx=%u tx=%u uid=%s inode=%s", kind, state_of(words[3]), local,
        remote, (guint)g_ascii_strtoull(queues[1], NULL, 16),
        (guint)g_ascii_strtoull(queues[0], NULL, 16), words[7], words[9]);
}

/* "0000000000000000: REFCOUNT PROTOCOL FLAGS TYPE ST INODE [PATH]" */
static char *
unix_line(const char *kind, char **words)
{
    return g_strdup_printf("%s type=%u listens=%d %s inode=%s", kind,
                           (guint)g_ascii_strtoull(words[4], NULL, 16),
                           strcmp(words[3], "00010000") == 0, words[7] ? words[7] : "-",
                           words[6]);
}

/* "SK PROTOCOL PID GROUPS RMEM WMEM DUMP LOCKS DROPS INODE" */
static char *
netlink_line(const char *kind, char **words)
{
    return g_strdup_printf("%s %s:%s groups=%u rx=%s tx=%s inode=%s", kind, words[1],
                           words[2], (guint)g_ascii_strtoull(words[3], NULL, 16),
                           words[4], words[5], words[9]);
}

/* "SK REFCNT TYPE PROTO IFACE R RMEM USER INODE" */
static char *
packet_line(const char *kind, char **words)
{
    return g_strdup_printf("%s type=%s 0x%s%%%s rx=%s uid=%s inode=%s", kind, words[2],
                           words[3], words[4], words[6], words[7], words[8]);
}

typedef struct {
    const char *kind;
    char *(*line)(const char *kind, char **words);
} File;

static const File files[] = {
    { "tcp", inet_line },        { "tcp6", inet_line },     { "udp", inet_line },
    { "udp6", inet_line },       { "udplite", inet_line },  { "udplite6", inet_line },
    { "raw", inet_line },        { "raw6", inet_line },     { "unix", unix_line },
    { "netlink", netlink_line }, { "packet", packet_line },
};

static char **
words_of(const char *line)
{
    g_auto(GStrv) words = g_strsplit_set(line, " \t", -1);
    g_autoptr(GStrvBuilder) ret = g_strv_builder_new();

    for (char **word = words; *word; word++)
        if (**word)
            g_strv_builder_add(ret, *word);
    return g_strv_builder_end(ret);
}

static int
by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
sorted(GPtrArray *lines)
{
    GString *ret = g_string_new(NULL);

    g_ptr_array_sort(lines, by_text);
    for (guint i = 0; i < lines->len; i++)
        g_string_append_printf(ret, "%s\n", (char *)lines->pdata[i]);
    return g_string_free(ret, FALSE);
}

static const File *
file_of(const char *kind)
{
    for (guint i = 0; i < G_N_ELEMENTS(files); i++)
        if (strcmp(files[i].kind, kind) == 0)
            return &files[i];
    g_error("'%s'", kind);
}

/* The files one after the other, each begun by its name, and its title. */
static char *
sockets_inside(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) ret = g_ptr_array_new_with_free_func(g_free);
    const File *file = NULL;

    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = words_of(*line);

        if (g_str_has_prefix(*line, "FILE ")) {
            file = file_of(words[1]);
            g_assert_nonnull(line[1]);
            line++;
        } else if (words[0]) {
            g_ptr_array_add(ret, file->line(file->kind, words));
        }
    }
    return sorted(ret);
}

/* --- what mose says --- */

static char *
line_outside(JsonObject *row)
{
    const char *kind = mose_json_string(row, "kind", "");
    const char *local = mose_json_string(row, "local", "");
    const char *state = mose_json_string(row, "state", "");
    gint64 rx = mose_json_int(row, "rx_queue", -1),
           tx = mose_json_int(row, "tx_queue", -1);
    gint64 inode = mose_json_int(row, "inode", -1), uid = mose_json_int(row, "uid", -1);

    if (g_str_has_prefix(kind, "u_"))
        return g_strdup_printf("unix type=%d listens=%d %s inode=%d",
                               (int)mose_json_int(row, "type", -1),
                               strcmp(state, "LISTEN") == 0, local, (int)inode);
    if (strcmp(kind, "netlink") == 0)
        return g_strdup_printf("netlink %s groups=%u rx=%d tx=%d inode=%d", local,
                               (guint)mose_json_int(row, "groups", -1), (int)rx,
                               (int)tx, (int)inode);
    if (strcmp(kind, "packet") == 0)
        return g_strdup_printf("packet type=%d %s rx=%d uid=%d inode=%d",
                               (int)mose_json_int(row, "type", -1), local, (int)rx,
                               (int)uid, (int)inode);
    return g_strdup_printf("%s %s %s %s rx=%d tx=%d uid=%d inode=%d", kind, state,
                           local, mose_json_string(row, "remote", ""), (int)rx, (int)tx,
                           (int)uid, (int)inode);
}

static JsonObject *
look(const VmGuest *vm, const char *pid)
{
    return vm_mose_json("net", vm->name, "--pid", pid, NULL);
}

static char *
sockets_outside(const VmGuest *vm, const char *pid)
{
    g_autoptr(JsonObject) object = look(vm, pid);
    JsonArray *rows = mose_json_array(object, "sockets");
    g_autoptr(GPtrArray) ret = g_ptr_array_new_with_free_func(g_free);

    g_assert_nonnull(rows);
    for (guint i = 0; i < json_array_get_length(rows); i++)
        g_ptr_array_add(ret, line_outside(mose_json_element(rows, i)));
    return sorted(ret);
}

/* Where they differ. */
static void
assert_same(const char *inside, const char *outside)
{
    g_auto(GStrv) ours = g_strsplit(outside, "\n", -1);
    g_auto(GStrv) theirs = g_strsplit(inside, "\n", -1);

    for (guint i = 0; ours[i] || theirs[i]; i++) {
        if (g_strcmp0(ours[i], theirs[i]) != 0)
            g_error("line %u: inside '%s', outside '%s'", i, theirs[i], ours[i]);
        if (!ours[i])
            break;
    }
}

/* The sockets of process @pid's namespace at one moment, both ways. They are kept in a
 * file: how it comes out makes sockets. */
static char *
compare(const VmGuest *vm, const char *pid)
{
    g_autofree char *keep = g_strdup_printf(
        "cd /proc/%s/net; for f in tcp tcp6 udp udp6 udplite udplite6 raw raw6 unix "
        "netlink packet; do [ ! -e $f ] || { echo FILE $f; cat $f; }; done >/tmp/net; "
        "cd /",
        pid);

    for (guint i = 0; i < TRIES; i++) {
        g_autofree char *before = sockets_outside(vm, pid);
        g_autofree char *after = NULL, *text = NULL, *inside = NULL;

        vm_shell(vm, keep);
        after = sockets_outside(vm, pid);
        if (strcmp(before, after) != 0)
            continue;
        text = vm_guest_output(vm, "cat /tmp/net", NULL);
        inside = sockets_inside(text);
        assert_same(inside, after);
        return g_steal_pointer(&after);
    }
    g_error("the sockets of %s change all the time", vm->name);
}

static void
assert_has(const char *lines, const char *pattern)
{
    if (!g_regex_match_simple(pattern, lines, G_REGEX_MULTILINE, 0))
        g_error("no /%s/ among:\n%s", pattern, lines);
}

/* --- tests --- */

/*
 * What the witness has not: a connection that Apache has not been told of yet, as it
 * has sent nothing (TCP_DEFER_ACCEPT: SYN-RECV), one that has ended, raw sockets, one
 * for kobject's events, one for packets; and a datagram that nobody reads.
 * Apache has IPv6 or not, as it found it.
 */
static void
make_more(const VmGuest *vm)
{
    vm_shell(
        vm,
        "(sleep 1000 | nc 127.0.0.1 80) >/dev/null 2>&1 & "
        "ping -i 500 127.0.0.1 >/dev/null 2>&1 & "
        "ping6 -i 500 ::1 >/dev/null 2>&1 & "
        "uevent cat >/dev/null 2>&1 & "
        "arping -I eth0 -w 1000 10.0.2.2 >/dev/null 2>&1 & "
        "timeout 1 tftp -g -r x 127.0.0.1 7003 >/dev/null 2>&1; "
        "wget -q -O /dev/null http://127.0.0.1/index.html; "
        "cd /proc/net; until grep -q ': .* 03 ' tcp tcp6 && grep -q ':0001 ' raw && "
        "grep -q ':003A ' raw6 && grep -q ' 0806 ' packet && "
        "grep -q '^[0-9a-f]* 15  *[1-9]' netlink; do usleep 50000; done; cd /");
}

static void
test_sockets(const KernelsGuest *guest)
{
    g_autofree char *lines = NULL;

    make_more(guest->vm);
    lines = compare(guest->vm, "1");
    assert_has(lines, "^tcp LISTEN 127.0.0.1:7001 0.0.0.0:0 rx=0 tx=0 uid=0 ");
    assert_has(lines, "^tcp ESTAB 127.0.0.1:7001 127.0.0.1:[0-9]+ rx=5 ");
    assert_has(lines, "^tcp6 ESTAB \\[::1\\]:7002 ");
    assert_has(lines, "^tcp6? TIME-WAIT ");
    assert_has(lines, "^tcp6? SYN-RECV \\[?(::ffff:)?127.0.0.1\\]?:80 ");
    assert_has(lines, "^udp UNCONN 127.0.0.1:7003 0.0.0.0:0 rx=[1-9]");
    assert_has(lines, "^udp6 ESTAB \\[::1\\]:7004 \\[::1\\]:7005 ");
    assert_has(lines, "^raw UNCONN ");
    assert_has(lines, "^raw6 UNCONN ");
    assert_has(lines, "^unix type=1 listens=1 /run/witness/socket ");
    assert_has(lines, "^unix type=2 listens=0 @wit-abstract ");
    assert_has(lines, "^netlink 15:[1-9][0-9]* groups=[1-9]");
    assert_has(lines, "^packet type=2 0x0806%[1-9]");
}

/* "PID FD INODE" of each, by the links in /proc. */
static char *
owners_inside(const VmGuest *vm)
{
    g_autofree char *text = vm_guest_output(
        vm,
        "cd /proc; for f in [0-9]*/fd/*; do l=$(readlink $f); case $l in socket:*) "
        "echo ${f%%/*} ${f##*/} $l;; esac; done; cd /",
        NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) ret = g_ptr_array_new_with_free_func(g_free);

    for (char **line = lines; **line; line++) {
        g_auto(GStrv) words = words_of(*line);
        char *inode = words[2] + strlen("socket:[");

        inode[strcspn(inode, "]")] = '\0';
        g_ptr_array_add(ret, g_strdup_printf("%s %s %s", words[0], words[1], inode));
    }
    return sorted(ret);
}

static char *
owners_outside(const VmGuest *vm)
{
    g_autoptr(JsonObject) object = vm_mose_json("net", vm->name, NULL);
    JsonArray *rows = mose_json_array(object, "sockets");
    g_autoptr(GPtrArray) ret = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = mose_json_element(rows, i);
        JsonArray *owners = mose_json_array(row, "owners");

        for (guint k = 0; k < json_array_get_length(owners); k++) {
            g_auto(GStrv) parts =
                g_strsplit(json_array_get_string_element(owners, k), "/", 3);

            g_ptr_array_add(ret, g_strdup_printf("%s %s %d", parts[1], parts[2],
                                                 (int)mose_json_int(row, "inode", -1)));
        }
    }
    return sorted(ret);
}

static gboolean
is_in_table(const char *inode, const char *tables)
{
    g_autofree char *word = g_strdup_printf(" %s ", inode);

    return strstr(tables, word) != NULL;
}

/* How what the guest says comes out is a connection of Apache's, for that while: what
 * is there both before and after is compared. A TCP socket that is neither bound nor
 * connected is in no table, and so in none of /proc/net either. */
static void
test_owners(const KernelsGuest *guest)
{
    g_autofree char *before = owners_outside(guest->vm);
    g_autofree char *inside = owners_inside(guest->vm);
    g_autofree char *after = owners_outside(guest->vm);
    g_autofree char *tables =
        vm_guest_output(guest->vm,
                        "cd /proc/net; cat tcp tcp6 udp udp6 raw raw6 unix "
                        "netlink packet | tr -s ' \\n' ' '; cd /",
                        NULL);
    g_auto(GStrv) ours = g_strsplit(before, "\n", -1);
    g_auto(GStrv) theirs = g_strsplit(inside, "\n", -1);
    g_auto(GStrv) later = g_strsplit(after, "\n", -1);
    guint n = 0;

    for (char **line = ours; **line; line++, n++)
        if (g_strv_contains((const char *const *)later, *line) &&
            !g_strv_contains((const char *const *)theirs, *line))
            g_error("only outside: '%s'", *line);
    for (char **line = theirs; **line; line++)
        if (is_in_table(strrchr(*line, ' ') + 1, tables) &&
            !g_strv_contains((const char *const *)ours, *line) &&
            !g_strv_contains((const char *const *)later, *line))
            g_error("only inside: '%s'", *line);
    g_assert_cmpuint(n, >=, 15);
}

/* One in another namespace sees its own alone; without --pid all are seen, each with
 * the number of its namespace. */
static void
test_namespaces(const KernelsGuest *guest)
{
    g_autofree char *inside =
        kernels_line(guest->witness, "namespaces", "name", "wit-inside");
    g_autofree char *pid = kernels_word(inside, "pid");
    g_autofree char *lines = compare(guest->vm, pid);
    g_autoptr(JsonObject) object =
        vm_mose_json("net", guest->vm->name, "--kinds", "tcp", "--listening", NULL);
    JsonArray *rows = mose_json_array(object, "sockets");
    guint n = 0;

    assert_has(lines, "^tcp LISTEN 0.0.0.0:7007 ");
    g_assert_null(strstr(lines, "7001"));
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = mose_json_element(rows, i);

        g_assert_cmpstr(mose_json_string(row, "state", ""), ==, "LISTEN");
        if (strcmp(mose_json_string(row, "local", ""), "0.0.0.0:7007") != 0)
            continue;
        g_assert_cmpint(mose_json_int(row, "netns", -1), ==,
                        (gint64)kernels_number(inside, "net"));
        n++;
    }
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(json_array_get_length(rows), >=, 4);
}

/* While connections come and go, what stays is always seen, once. */
static void
test_busy(const KernelsGuest *guest)
{
    vm_shell(guest->vm, "(while [ ! -e /tmp/enough ]; do wget -q -O /dev/null "
                        "http://127.0.0.1/index.html; done) &");
    for (guint i = 0; i < LOOKS; i++) {
        g_autofree char *lines = sockets_outside(guest->vm, "1");
        g_autoptr(GRegex) listens =
            g_regex_new("^tcp LISTEN 127.0.0.1:7001 ", G_REGEX_MULTILINE, 0, NULL);
        g_auto(GStrv) parts = g_regex_split(listens, lines, 0);

        g_assert_cmpuint(g_strv_length(parts), ==, 2);
        assert_has(lines, "^tcp ESTAB 127.0.0.1:7001 127.0.0.1:[0-9]+ rx=5 ");
        assert_has(lines, "^udp6 ESTAB \\[::1\\]:7004 \\[::1\\]:7005 ");
    }
    vm_shell(guest->vm, ": >/tmp/enough; wait $!; rm /tmp/enough");
}

/* --- interfaces --- */

static JsonObject *
link_called(JsonArray *rows, const char *name)
{
    for (guint i = 0; i < json_array_get_length(rows); i++)
        if (strcmp(mose_json_string(mose_json_element(rows, i), "name", ""), name) == 0)
            return mose_json_element(rows, i);
    g_error("no interface %s", name);
}

/* Lines of "NAME INDEX MTU ADDRESS STATE FLAGS TYPE RX TX" */
static void
assert_link(JsonArray *rows, char **words)
{
    JsonObject *row = link_called(rows, words[0]);
    const char *state = mose_json_string(row, "state", "");

    g_assert_cmpint(mose_json_int(row, "index", -1), ==, atoi(words[1]));
    g_assert_cmpint(mose_json_int(row, "mtu", -1), ==, atoi(words[2]));
    g_assert_cmpstr(mose_json_string(row, "hardware", ""), ==, words[3]);
    g_assert_cmpstr(state, ==, words[4]);
    g_assert_cmpint(mose_json_int(row, "type", -1), ==, atoi(words[6]));
    /* IFF_RUNNING, IFF_LOWER_UP and IFF_DORMANT are worked out from the state. */
    g_assert_cmphex(g_ascii_strtoull(mose_json_string(row, "flags", ""), NULL, 16) &
                        ~0x30040u,
                    ==, g_ascii_strtoull(words[5], NULL, 16) & ~0x30040u);
    if (!json_object_has_member(row, "rx_bytes"))
        return;
    g_assert_cmpint(mose_json_int(row, "rx_bytes", -1), ==, atoi(words[7]));
    g_assert_cmpint(mose_json_int(row, "tx_packets", -1), ==, atoi(words[8]));
}

static void
test_links(const KernelsGuest *guest)
{
    g_autofree char *made = vm_shell_output(
        guest->vm, "ip tuntap add dev wit0 mode tap 2>&1; ip link set wit0 mtu 1400; "
                   "ip addr add 10.9.8.7/24 dev wit0; ip -6 addr add fd00::7/64 dev "
                   "wit0");
    g_autofree char *text = vm_shell_output(
        guest->vm,
        "cd /sys/class/net; for i in *; do cd $i; echo $i $(cat ifindex mtu address "
        "operstate flags type statistics/rx_bytes statistics/tx_packets); cd ..; done; "
        "cd /");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(JsonObject) object =
        vm_mose_json("net", guest->vm->name, "--links", "--pid", "1", NULL);
    JsonArray *rows = mose_json_array(object, "links");
    guint n = 0;

    g_test_message("%s", made);
    for (char **line = lines; **line; line++, n++) {
        g_auto(GStrv) words = words_of(*line);

        assert_link(rows, words);
    }
    g_assert_cmpuint(n, ==, json_array_get_length(rows));
    g_assert_true(json_object_has_member(link_called(rows, "lo"), "rx_bytes"));
}

/* "    inet 127.0.0.1/8 ..." below "1: lo: ..." */
static void
test_addresses(const KernelsGuest *guest)
{
    g_autofree char *text = vm_shell_output(guest->vm, "ip addr");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(JsonObject) object =
        vm_mose_json("net", guest->vm->name, "--links", "--pid", "1", NULL);
    JsonArray *rows = mose_json_array(object, "links");
    g_autoptr(GString) inside = g_string_new(NULL), outside = g_string_new(NULL);

    for (char **line = lines; **line; line++) {
        g_auto(GStrv) words = words_of(*line);

        if (g_ascii_isdigit(**line))
            g_string_append_printf(inside, "%s\n", words[1]);
        else if (g_str_has_prefix(words[0], "inet"))
            g_string_append_printf(inside, " %s\n", words[1]);
    }
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = mose_json_element(rows, i);
        JsonArray *addresses = mose_json_array(row, "addresses");

        g_string_append_printf(outside, "%s:\n", mose_json_string(row, "name", ""));
        for (guint k = 0; k < json_array_get_length(addresses); k++)
            g_string_append_printf(outside, " %s\n",
                                   json_array_get_string_element(addresses, k));
    }
    assert_same(inside->str, outside->str);
    g_assert_nonnull(strstr(outside->str, " 127.0.0.1/8\n ::1/128\n"));
}

static void
test_refused(void)
{
    const char *words[] = { "net", "none", "--kinds", "tcp,pigeon", NULL };
    g_autofree char *said = NULL;

    g_assert_cmpint(vm_mosev(NULL, &said, words), ==, 2);
    g_assert_nonnull(strstr(said, "there is no kind of socket 'pigeon'"));
}

void
vmi_net_add(void)
{
    kernels_add("/vmi-net/sockets", test_sockets);
    kernels_add("/vmi-net/owners", test_owners);
    kernels_add("/vmi-net/namespaces", test_namespaces);
    kernels_add("/vmi-net/busy", test_busy);
    kernels_add("/vmi-net/links", test_links);
    kernels_add("/vmi-net/addresses", test_addresses);
    kernels_add_once("/vmi-net/refused", test_refused);
}
