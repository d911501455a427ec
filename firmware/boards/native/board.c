/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware as a POSIX process: its UART is a TCP connection on 127.0.0.1, one client at a time.
 *
 *     firmware.elf [PORT]     0 or nothing: any free port
 *
 * prints `port N` on stdout and waits for the first client, so that the banner is not lost. A client that goes is
 * replaced by the next one; the board's state stays. Ends at SIGTERM, or when its parent dies. */
#define _DEFAULT_SOURCE /* POSIX and the socket options under -std=c99 */
#include "boards/board.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SOCKET_BYTES = 65536
}; /* fewer than the kernel keeps for a connection: then the client waits, nothing is lost */

static const char *port_argument = "0";
static int listener = -1;
static int client = -1;
static uint64_t start_us;

/* main() takes no arguments, as on a microcontroller; glibc hands them to constructors as well. */
__attribute__((constructor)) static void keep_arguments(int count, char **values)
{
    if (count > 1) {
        port_argument = values[1];
    }
}

static void stop(const char *what)
{
    (void)fprintf(stderr, "native board: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static uint16_t parse_port(const char *text)
{
    char *end = NULL;
    errno = 0;
    long port = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || port < 0 || port > UINT16_MAX) {
        (void)fprintf(stderr, "usage: firmware.elf [PORT], PORT from 0 to 65535; not %s\n", text);
        exit(2);
    }
    return (uint16_t)port;
}

static void open_listener(uint16_t port)
{
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) {
        stop("socket");
    }
    int yes = 1;
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4) != 0) {
        stop("cannot listen on the port");
    }
    socklen_t length = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        stop("getsockname");
    }
    (void)printf("port %u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout);
}

static void accept_client(void)
{
    do {
        client = accept(listener, NULL, NULL);
    } while (client < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (client < 0) {
        stop("accept");
    }
    int yes = 1; /* replies are short and waited for */
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void drop_client(void)
{
    (void)close(client);
    client = -1;
}

static uint64_t monotonic_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        stop("clock_gettime");
    }
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void board_init(void)
{
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
        stop("prctl");
    }
    if (getppid() != parent) { /* it died just before: the signal would never come */
        exit(EXIT_FAILURE);
    }
    open_listener(parse_port(port_argument));
    accept_client();
    start_us = monotonic_us();
}

const char *board_name(void)
{
    return TJ_BOARD_NAME;
}

uint32_t board_core_hz(void)
{
    return TJ_CORE_HZ;
}

uint64_t board_clock_us(void)
{
    return monotonic_us() - start_us;
}

bool board_cycles(uint32_t *cycles)
{
    (void)cycles;
    return false;
}

int board_uart_read(uint8_t *bytes, size_t capacity)
{
    for (;;) {
        if (client < 0) {
            accept_client();
        }
        ssize_t count = recv(client, bytes, capacity, 0);
        if (count > 0) {
            return (int)count;
        }
        if (count == 0 || errno != EINTR) {
            drop_client();
        }
    }
}

/* Bytes with nobody there to read them are lost, as on a UART. */
void board_uart_write(const uint8_t *bytes, size_t count)
{
    while (count > 0 && client >= 0) {
        ssize_t sent = send(client, bytes, count, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            count -= (size_t)sent;
        } else if (errno != EINTR) {
            drop_client();
        }
    }
}

void board_uart_flush(void)
{
    /* send() has handed everything to the kernel; there is no interrupt that could come later. */
}

uint32_t board_uart_capacity(void)
{
    return SOCKET_BYTES;
}

uint32_t board_uart_baud(void)
{
    return 0;
}

uint32_t board_uart_baud_max(void)
{
    return 0;
}

bool board_uart_baud_possible(uint32_t baud)
{
    (void)baud;
    return false;
}

int board_uart_set_baud(uint32_t baud)
{
    (void)baud;
    return BOARD_E_BAUD;
}

void board_timing_pin_set(bool high)
{
    (void)high; /* no pin: only a power monitor would look at it */
}
