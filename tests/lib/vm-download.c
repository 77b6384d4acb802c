/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vm-download.h. */
#include "lib/vm-download.h"

#include <gio/gio.h>
#include <string.h>

#define PIECE (1 << 20)
#define SLOW_PIECE (1 << 16)
#define SLOW_US 20000

static void
skip_header(GInputStream *in)
{
    char last[4] = { 0 };

    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        memmove(last, last + 1, 3);
        g_assert_cmpint(g_input_stream_read(in, last + 3, 1, NULL, NULL), ==, 1);
    }
}

static gssize
read_piece(VmDownload *download, GInputStream *in, guint8 *piece)
{
    gboolean slow = g_atomic_int_get(&download->slow);
    g_autoptr(GError) error = NULL;
    gssize got =
        g_input_stream_read(in, piece, slow ? SLOW_PIECE : PIECE, NULL, &error);

    g_assert_no_error(error);
    if (slow)
        g_usleep(SLOW_US);
    g_atomic_pointer_add(&download->got, got);
    return got;
}

gpointer
vm_download(gpointer data)
{
    static const char request[] = "GET /big HTTP/1.0\r\n\r\n";
    VmDownload *download = data;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect_to_host(client, download->address, 80, NULL, &error);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree guint8 *piece = g_malloc(PIECE);
    g_autoptr(GInputStream) in = NULL;
    gssize got;

    g_assert_no_error(error);
    g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(connection)),
                              request, strlen(request), NULL, NULL, &error);
    g_assert_no_error(error);
    in = g_buffered_input_stream_new(
        g_io_stream_get_input_stream(G_IO_STREAM(connection)));
    skip_header(in);
    while ((got = read_piece(download, in, piece)) > 0)
        g_checksum_update(sum, piece, got);
    return g_strdup(g_checksum_get_string(sum));
}
