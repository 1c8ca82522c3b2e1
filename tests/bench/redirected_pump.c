// SPDX-License-Identifier: GPL-3.0-or-later
// The ceiling over usbredir: a device that has no files and answers at once, with zeros.
//
//     redirected SOCKET
//
// It listens at a socket of this machine for one QEMU. What it is asked for is what it is asked with, so
// that it does nothing but answer: a list of as many handles as the third parameter says (GetObjectHandles),
// as many bytes as the first says (GetObject, GetObjectPropList), a dataset of 164 bytes (GetObjectInfo).
// What it is sent it drops; the handle of an upload is 4096. All other operations succeed.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { HELLO, DEVICE_CONNECT, DISCONNECT, RESET, INTERFACE_INFO, EP_INFO, SET_CONFIGURATION, CONFIGURATION_STATUS = 8,
       SET_ALT_SETTING = 9, ALT_SETTING_STATUS = 11, START_INTERRUPTS = 15, STOP_INTERRUPTS, INTERRUPTS_STATUS,
       CANCEL = 21, CONTROL = 100, BULK };
enum { IN = 0x81, OUT = 0x02, EVENTS = 0x83, PACKET = 512, HEAD = 16, BULK_HEAD = 10, MOST = 1 << 21 };
enum { INFO_SIZE = 164, HANDLE = 4096, CONTAINER = 12, CANCELLED = 1, STALL = 4 };
// Device version, packet sizes of endpoints, ids of 64 bits, bulk lengths of 32 bits.
enum { CAPABILITIES = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 };

static int guest;
static int greeted;
static unsigned char input[MOST + 4096];
static const unsigned char zeros[1 << 20];

// What the host is to read next: a data phase, then a response. What it asked for before there was any waits.
static struct {
    unsigned char head[CONTAINER + 4];
    int head_length;
    uint64_t zeros;
    int ends, has_response;
    unsigned char response[CONTAINER + 12];
    int response_length;
} answer;
static struct {
    uint64_t id;
    unsigned char fields[BULK_HEAD];
    uint32_t length;
    int waits;
} asked;
static unsigned expecting; // the operation whose data is on its way here, or 0

static void put16(unsigned char *at, unsigned value) { at[0] = value, at[1] = value >> 8; }
static void put32(unsigned char *at, uint32_t value) { put16(at, value & 0xFFFF), put16(at + 2, value >> 16); }
static unsigned get16(const unsigned char *at) { return at[0] | at[1] << 8; }
static uint32_t get32(const unsigned char *at) { return get16(at) | (uint32_t)get16(at + 2) << 16; }

static void write_all(struct iovec *parts, int count) {
    while (count) {
        ssize_t done = writev(guest, parts, count);
        if (done < 0) exit(0);
        for (; count && (size_t)done >= parts->iov_len; parts++, count--) done -= parts->iov_len;
        if (count) parts->iov_base = (char *)parts->iov_base + done, parts->iov_len -= done;
    }
}

// A packet: type, length and id, the fields of its type, and up to two pieces of data.
static void say(unsigned type, uint64_t id, const void *fields, size_t length, const void *data, size_t size, const void *more, size_t rest) {
    unsigned char head[HEAD];
    put32(head, type), put32(head + 4, length + size + rest), memcpy(head + 8, &id, 8);
    struct iovec parts[4] = {{head, greeted ? HEAD : 12}, {(void *)fields, length}, {(void *)data, size}, {(void *)more, rest}};
    write_all(parts, 4);
}

static void tell(unsigned type, uint64_t id, const void *fields, size_t length) { say(type, id, fields, length, 0, 0, 0, 0); }

// Plugging in

static void greet(void) {
    unsigned char hello[68] = "pump";
    put32(hello + 64, CAPABILITIES);
    tell(HELLO, 0, hello, sizeof hello);
    greeted = 1;
    unsigned char endpoints[160] = {0}, interface[132] = {1}, device[10] = {2, 0, 0, 0, 0x6B, 0x1D, 0x01, 0x01, 0, 1};
    memset(endpoints, 255, 32);
    endpoints[0] = endpoints[16] = 0;
    endpoints[17] = endpoints[2] = 2, endpoints[19] = 3, endpoints[32 + 19] = 4;
    put16(endpoints + 96 + 2 * 17, PACKET), put16(endpoints + 96 + 2 * 2, PACKET), put16(endpoints + 96 + 2 * 19, 28);
    interface[4 + 32] = 0xFF;
    tell(EP_INFO, 0, endpoints, sizeof endpoints);
    tell(INTERFACE_INFO, 0, interface, sizeof interface);
    tell(DEVICE_CONNECT, 0, device, sizeof device);
}

static const unsigned char device_descriptor[18] = {18, 1, 0, 2, 0, 0, 0, 64, 0x6B, 0x1D, 0x01, 0x01, 0, 1, 0, 0, 0, 1};
static const unsigned char configuration[39] = {
    9, 2, 39, 0, 1, 1, 0, 0xC0, 0, 9, 4, 0, 0, 3, 0xFF, 0, 0, 0,
    7, 5, IN, 2, 0, 2, 0, 7, 5, OUT, 2, 0, 2, 0, 7, 5, EVENTS, 3, 28, 0, 4};

static void control(uint64_t id, unsigned char *fields) {
    unsigned room = get16(fields + 8), size = 0;
    const unsigned char *data = zeros;
    fields[3] = 0; // QEMU leaves there what there was
    if (fields[1] == 6 && fields[2] == 0x80) { // GET_DESCRIPTOR
        if (fields[5] == 1) data = device_descriptor, size = sizeof device_descriptor;
        else if (fields[5] == 2) data = configuration, size = sizeof configuration;
        else fields[3] = STALL;
    } else if (fields[2] & 0x80)
        size = room < 2 ? room : 2;
    size = size < room ? size : room;
    if (fields[2] & 0x80) put16(fields + 8, size);
    say(CONTROL, id, fields, 10, data, size, 0, 0);
}

// Bulk transfers

static void answer_bulk(uint64_t id, unsigned char *fields, int status, uint32_t length, const void *data, size_t size, size_t more) {
    fields[1] = status;
    put16(fields + 2, length & 0xFFFF), put16(fields + 8, length >> 16);
    say(BULK, id, fields, BULK_HEAD, data, size, zeros, more);
}

static void give(void) {
    if (!asked.waits) return;
    if (answer.head_length || answer.zeros || answer.ends) {
        size_t head = answer.head_length, more = asked.length - head;
        if (more > answer.zeros) more = answer.zeros;
        answer_bulk(asked.id, asked.fields, 0, head + more, answer.head, head, more);
        answer.zeros -= more, answer.head_length = 0;
        if (!answer.zeros && head + more < asked.length) answer.ends = 0;
    } else if (answer.has_response) {
        answer_bulk(asked.id, asked.fields, 0, answer.response_length, answer.response, answer.response_length, 0);
        answer.has_response = 0;
    } else
        return;
    asked.waits = 0;
}

static void respond(const unsigned char *command, int with_handle) {
    answer.has_response = 1, answer.response_length = with_handle ? CONTAINER + 12 : CONTAINER;
    put32(answer.response, answer.response_length), put16(answer.response + 4, 3), put16(answer.response + 6, 0x2001);
    memcpy(answer.response + 8, command + 8, 4);
    memset(answer.response + CONTAINER, 0, 8), put32(answer.response + CONTAINER + 8, HANDLE);
}

static void send_zeros(const unsigned char *command, uint64_t size, int starts_with_count, uint32_t count) {
    answer.head_length = CONTAINER + 4 * starts_with_count;
    put32(answer.head, CONTAINER + size), put16(answer.head + 4, 2), memcpy(answer.head + 6, command + 6, 6);
    put32(answer.head + CONTAINER, count);
    answer.zeros = size - 4 * starts_with_count, answer.ends = 1;
}

static void receive(const unsigned char *data, uint32_t size) {
    static unsigned char command[64];
    if (expecting) {
        if (size % PACKET == 0 && size) return;
        respond(command, expecting == 0x100C);
        expecting = 0;
        return;
    }
    memset(command, 0, sizeof command), memcpy(command, data, size < sizeof command ? size : sizeof command);
    unsigned code = get16(command + 6);
    uint32_t first = get32(command + CONTAINER), third = get32(command + CONTAINER + 8);
    if (code == 0x100C || code == 0x100D) {
        expecting = code;
        return;
    }
    if (code == 0x1007) send_zeros(command, 4 + 4ull * third, 1, third);
    else if (code == 0x1008) send_zeros(command, INFO_SIZE, 0, 0);
    else if (code == 0x1009 || code == 0x9805) send_zeros(command, first, 0, 0);
    respond(command, 0);
}

static void bulk(uint64_t id, unsigned char *fields, const unsigned char *data) {
    uint32_t length = get16(fields + 2) | (uint32_t)get16(fields + 8) << 16;
    if (fields[0] == OUT) {
        answer_bulk(id, fields, 0, length, 0, 0, 0);
        receive(data, length);
    } else
        asked.id = id, asked.length = length, asked.waits = 1, memcpy(asked.fields, fields, BULK_HEAD);
    give();
}

static size_t size_of_fields(unsigned type) {
    switch (type) {
    case HELLO: return 64;
    case CONTROL: return 10;
    case BULK: return BULK_HEAD;
    case SET_CONFIGURATION: case START_INTERRUPTS: case STOP_INTERRUPTS: return 1;
    case SET_ALT_SETTING: return 2;
    }
    return 0;
}

static void act(unsigned type, uint64_t id, unsigned char *fields, const unsigned char *data) {
    unsigned char status[3] = {0, fields[0], fields[1]};
    switch (type) {
    case HELLO: greet(); break;
    case SET_CONFIGURATION: tell(CONFIGURATION_STATUS, id, status, 2); break;
    case SET_ALT_SETTING: tell(ALT_SETTING_STATUS, id, status, 3); break;
    case START_INTERRUPTS: case STOP_INTERRUPTS: tell(INTERRUPTS_STATUS, id, status, 2); break;
    case CONTROL: control(id, fields); break;
    case BULK: bulk(id, fields, data); break;
    case CANCEL:
        if (asked.waits && asked.id == id) asked.waits = 0, answer_bulk(id, asked.fields, CANCELLED, 0, 0, 0, 0);
    }
}

int main(int count, char **words) {
    struct sockaddr_un address = {AF_UNIX, ""};
    if (count != 2 || strlen(words[1]) >= sizeof address.sun_path) return 2;
    strcpy(address.sun_path, words[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), room = 1 << 20;
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1)) return perror(words[1]), 1;
    puts("ready"), fflush(stdout);
    guest = accept(listener, 0, 0);
    setsockopt(guest, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    size_t filled = 0;
    for (ssize_t got; (got = read(guest, input + filled, sizeof input - filled)) > 0;) {
        filled += got;
        size_t at = 0, head;
        while (filled - at >= (head = greeted ? HEAD : 12) && filled - at >= head + get32(input + at + 4)) {
            uint64_t id = 0;
            memcpy(&id, input + at + 8, head - 8);
            unsigned char *fields = input + at + head;
            at += head + get32(input + at + 4);
            act(get32(fields - head), id, fields, fields + size_of_fields(get32(fields - head)));
        }
        memmove(input, input + at, filled -= at);
    }
    return 0;
}
