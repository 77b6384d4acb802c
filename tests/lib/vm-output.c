/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command prints in a guest, when it is more than its serial port can carry in
 * reasonable time: kept in a file that its web server sends. See vm.h.
 */
#include <gio/gio.h>
#include <string.h>

#include "lib/vm.h"

#define TRIES 3
#define SECONDS 60
#define HEADER_END "\r\n\r\n"

/* The whole reply to one request; an error, or a reply that ends early, is for the
 * caller to find. */
static GByteArray *
fetch(const VmGuest *guest, const char *path, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnection) connection = NULL;
    g_autoptr(GByteArray) ret = g_byte_array_new();
    g_autofree char *request = g_strdup_printf("GET %s HTTP/1.0\r\n\r\n", path);
    g_autofree guint8 *piece = g_malloc(1 << 20);
    GInputStream *in;
    gssize got;

    g_socket_client_set_timeout(client, SECONDS);
    connection = g_socket_client_connect_to_host(client, guest->address, guest->port,
                                                 NULL, error);
    if (!connection || !g_output_stream_write_all(
                           g_io_stream_get_output_stream(G_IO_STREAM(connection)),
                           request, strlen(request), NULL, NULL, error))
        return NULL;
    in = g_io_stream_get_input_stream(G_IO_STREAM(connection));
    while ((got = g_input_stream_read(in, piece, 1 << 20, NULL, error)) > 0)
        g_byte_array_append(ret, piece, got);
    return got < 0 ? NULL : g_steal_pointer(&ret);
}

/* Cut the header off; FALSE where there is none, or not the contents of a file. */
static gboolean
take_body(GByteArray *reply)
{
    const char *text = (const char *)reply->data;
    const char *end = g_strstr_len(text, reply->len, HEADER_END);

    if (!end || !g_str_has_prefix(text, "HTTP/1.1 200 "))
        return FALSE;
    g_byte_array_remove_range(reply, 0, end + strlen(HEADER_END) - text);
    return TRUE;
}

/* @sum is "LENGTH SHA256" as the guest has counted; NULL if what came differs, and
 * *@ret_why says how. */
static char *
fetch_checked(const VmGuest *guest, const char *path, const char *sum, gsize *ret_len,
              char **ret_why)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) reply = fetch(guest, path, &error);
    g_autofree char *hash = NULL;
    g_autofree char *got = NULL;

    if (!reply || !take_body(reply)) {
        *ret_why = g_strdup(error ? error->message : "no such reply");
        return NULL;
    }
    hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, reply->data, reply->len);
    got = g_strdup_printf("%u %s", reply->len, hash);
    if (strcmp(got, sum) != 0) {
        *ret_why = g_strdup_printf("%s came, not %s", got, sum);
        return NULL;
    }
    if (ret_len)
        *ret_len = reply->len;
    g_byte_array_append(reply, (const guint8 *)"", 1);
    return (char *)g_byte_array_free(g_steal_pointer(&reply), FALSE);
}

char *
vm_guest_output(const VmGuest *guest, const char *command, gsize *ret_len)
{
    static guint count;
    g_autofree char *path = g_strdup_printf("/output-%u", ++count);
    g_autofree char *run = g_strdup_printf(
        "{ %s\n} >/var/www/html%s 2>&1 </dev/null; "
        "echo $(wc -c </var/www/html%s) $(sha256sum </var/www/html%s | cut -d' ' -f1)",
        command, path, path, path);
    g_autofree char *remove = g_strdup_printf("rm -f /var/www/html%s", path);
    g_autofree char *sum = vm_shell_output(guest, run);
    g_autofree char *why = NULL;
    char *ret = NULL;

    g_assert_true(guest->port != 0); /* it has a network */
    g_strstrip(sum);
    for (int i = 0; i < TRIES && !ret; i++) {
        g_clear_pointer(&why, g_free);
        ret = fetch_checked(guest, path, sum, ret_len, &why);
        if (!ret)
            g_test_message("%s: %s: %s", guest->name, command, why);
    }
    if (!ret)
        g_error("%s: what '%s' printed did not come whole: %s", guest->name, command,
                why);
    vm_shell(guest, remove);
    return ret;
}
