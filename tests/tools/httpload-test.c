/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * httpload against a server that answers so many requests and then closes,
 * falls silent or lies: what the server has done is what httpload must report.
 */
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#define REPLY(status, body) "HTTP/1.1 " status "\r\nContent-Length: 4\r\n\r\n" body

enum { CONNECTIONS = 3, REPLIES = 20 };

typedef enum { CLOSES, FALLS_SILENT, REFUSES, CHANGES } Misbehaviour;

typedef struct {
    Misbehaviour misbehaviour; /* of each connection after REPLIES good replies */
    GSocketService *service;
    char *address;
    int replies; /* good ones, counted by the server */
} Server;

static const char *
bad_reply(const Server *server)
{
    return server->misbehaviour == REFUSES ? REPLY("503 Busy", "good")
                                           : REPLY("200 OK", "evil");
}

/* Each connection has a thread of its own. Requests are smaller than a read. */
static gboolean
serve(GThreadedSocketService *service, GSocketConnection *connection, GObject *source,
      gpointer data)
{
    Server *server = data;
    GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(connection));
    GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
    char request[512];

    for (int sent = 0;
         g_input_stream_read(in, request, sizeof(request), NULL, NULL) > 0; sent++) {
        const char *reply = REPLY("200 OK", "good");

        if (sent == REPLIES && server->misbehaviour == CLOSES)
            break;
        if (sent == REPLIES && server->misbehaviour == FALLS_SILENT)
            continue;
        if (sent == REPLIES)
            reply = bad_reply(server);
        else
            g_atomic_int_inc(&server->replies);
        if (!g_output_stream_write_all(out, reply, strlen(reply), NULL, NULL, NULL))
            break;
    }
    return TRUE;
}

static void
server_start(Server *server, Misbehaviour misbehaviour)
{
    g_autoptr(GError) error = NULL;
    guint16 port;

    *server = (Server){ .misbehaviour = misbehaviour };
    server->service = g_threaded_socket_service_new(CONNECTIONS);
    port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(server->service), NULL,
                                               &error);
    g_assert_no_error(error);
    server->address = g_strdup_printf("127.0.0.1:%u", port);
    g_signal_connect(server->service, "run", G_CALLBACK(serve), server);
    g_socket_service_start(server->service);
}

static void
server_stop(Server *server)
{
    g_socket_service_stop(server->service);
    g_socket_listener_close(G_SOCKET_LISTENER(server->service));
    g_object_unref(server->service);
    g_free(server->address);
}

/* Accepts in this thread's main context until httpload has ended. */
static void
on_end(GObject *object, GAsyncResult *result, gpointer data)
{
    GMainLoop *loop = data;

    g_main_loop_quit(loop);
}

/* Run httpload with one more option for half a second; the phase "load" is all. */
static JsonNode *
run_httpload(const Server *server, const char *option, int *status)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(GInputStream) mark =
        g_memory_input_stream_new_from_data("load\n", 5, NULL);
    g_autoptr(GSubprocess) httpload =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDIN_PIPE,
                         &error, g_getenv("HTTPLOAD"), "--connections=3",
                         "--duration=0.5", option, server->address, NULL);
    JsonNode *report;
    char buffer[8192];
    gsize got = 0;

    g_assert_no_error(error);
    g_output_stream_splice(g_subprocess_get_stdin_pipe(httpload), mark,
                           G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, NULL, &error);
    g_assert_no_error(error);
    g_subprocess_wait_async(httpload, NULL, on_end, loop);
    g_main_loop_run(loop);
    *status = g_subprocess_get_exit_status(httpload);
    g_input_stream_read_all(g_subprocess_get_stdout_pipe(httpload), buffer,
                            sizeof(buffer) - 1, &got, NULL, &error);
    g_assert_no_error(error);
    buffer[got] = '\0';
    g_test_message("%s", buffer);
    report = json_from_string(buffer, &error);
    g_assert_no_error(error);
    return report;
}

static gint64
member(JsonNode *report, const char *name)
{
    return json_object_get_int_member(json_node_get_object(report), name);
}

static void
expect_error(JsonNode *report, const char *words)
{
    const char *text = json_object_get_string_member_with_default(
        json_node_get_object(report), "first_error", "none");

    g_assert_nonnull(strstr(text, words));
}

typedef struct {
    Misbehaviour misbehaviour;
    const char *option;
    const char *error;
} Case;

/* Each connection gets its good replies, then exactly one error, and is given up. */
static void
test_error(gconstpointer data)
{
    const Case *test = data;
    Server server;
    g_autoptr(JsonNode) report = NULL;
    int status;

    server_start(&server, test->misbehaviour);
    report = run_httpload(&server, test->option, &status);
    g_assert_cmpint(status, ==, 1);
    g_assert_cmpint(member(report, "requests"), ==, server.replies);
    g_assert_cmpint(server.replies, ==, CONNECTIONS * REPLIES);
    g_assert_cmpint(member(report, "errors"), ==, CONNECTIONS);
    g_assert_cmpint(member(report, "connections_answered"), ==, CONNECTIONS);
    g_assert_cmpint(member(report, "connections_alive"), ==, 0);
    g_assert_cmpint(member(report, "reconnects"), ==, 0);
    expect_error(report, test->error);
    server_stop(&server);
}

/* Silence is no error by itself, but it shows as a gap. */
static void
test_silence(void)
{
    Server server;
    g_autoptr(JsonNode) report = NULL;
    int status;

    server_start(&server, FALLS_SILENT);
    report = run_httpload(&server, "--path=/", &status);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(member(report, "errors"), ==, 0);
    g_assert_cmpint(member(report, "connections_alive"), ==, CONNECTIONS);
    g_assert_cmpint(member(report, "largest_gap_ms"), >=, 250);
    server_stop(&server);
}

static void
test_reconnect(void)
{
    Server server;
    g_autoptr(JsonNode) report = NULL;
    int status;

    server_start(&server, CLOSES);
    report = run_httpload(&server, "--reconnect", &status);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(member(report, "errors"), ==, 0);
    g_assert_cmpint(member(report, "reconnects"), >=, CONNECTIONS);
    g_assert_cmpint(member(report, "requests"), >, CONNECTIONS * REPLIES);
    server_stop(&server);
}

/* The sum of the phases is the whole. */
static void
test_phases(void)
{
    Server server;
    g_autoptr(JsonNode) report = NULL;
    JsonArray *phases;
    gint64 sum = 0;
    int status;

    server_start(&server, CLOSES);
    report = run_httpload(&server, "--path=/", &status);
    phases = json_object_get_array_member(json_node_get_object(report), "phases");
    g_assert_cmpint(json_array_get_length(phases), ==, 2);
    for (guint i = 0; i < 2; i++)
        sum += json_object_get_int_member(json_array_get_object_element(phases, i),
                                          "requests");
    g_assert_cmpint(sum, ==, CONNECTIONS * REPLIES);
    g_assert_cmpstr(
        json_object_get_string_member(json_array_get_object_element(phases, 1), "name"),
        ==, "load");
    server_stop(&server);
}

int
main(int argc, char **argv)
{
    static const Case closes = { CLOSES, "--path=/", "closed a connection" };
    static const Case silent = { FALLS_SILENT, "--timeout=0.2", "no reply in time" };
    static const Case refuses = { REFUSES, "--path=/", "status is not 200" };
    static const Case changes = { CHANGES, "--same-body", "not that of the first" };

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/httpload/closed", &closes, test_error);
    g_test_add_data_func("/httpload/timeout", &silent, test_error);
    g_test_add_data_func("/httpload/refused", &refuses, test_error);
    g_test_add_data_func("/httpload/changed", &changes, test_error);
    g_test_add_func("/httpload/silence", test_silence);
    g_test_add_func("/httpload/reconnect", test_reconnect);
    g_test_add_func("/httpload/phases", test_phases);
    return g_test_run();
}
