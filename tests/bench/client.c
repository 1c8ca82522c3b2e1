// SPDX-License-Identifier: GPL-3.0-or-later
// A raw MTP initiator over libusb, for measuring: it does what it is told and takes the time.
//
//     client VENDOR:PRODUCT      (hexadecimal)
//
// It claims the first interface with two bulk endpoints and reads commands from standard input, a
// line each. Every command is answered by one line: the words below, times in seconds. A command
// that fails is answered by `error` and the reason.
//
//     op CODE [PARAMETER]...            RESPONSE LENGTH SECONDS [PARAMETER]...
//                                       a transaction; its data, if any, is kept
//     data                              what was kept, in hexadecimal ("-" for nothing)
//     sends CODE BYTES [PARAMETER]...   the same, with data to the responder (BYTES in hexadecimal)
//     handles                           COUNT: what was kept is a list of handles; they are remembered
//     forget                            0: no handles are remembered
//     each LIMIT COUNT STEP...          DONE SECONDS BYTES REFUSED: for each remembered handle, COUNT at
//                                       most and LIMIT seconds at most, the steps in turn. A step is
//                                       CODE[,PARAMETER]...; @ is the handle, numbers are hexadecimal
//     get HANDLE CHUNK CHECK            RESPONSE LENGTH SECONDS: GetObject, CHUNK bytes a host transfer;
//                                       CHECK 1: what comes is compared with the pattern of `put`
//     put STORAGE PARENT SIZE CHUNK NAME   RESPONSE HANDLE SECONDS: SendObjectInfo and SendObject
//     puts STORAGE PARENT SIZE COUNT NAME  DONE SECONDS REFUSED: COUNT such files, numbered; remembered
//     renames COUNT NAME                DONE SECONDS REFUSED: the remembered objects, numbered anew
//     drain BYTES CHUNK                 BYTES SECONDS: read from the bulk endpoint, whatever it is
//     flood BYTES CHUNK                 BYTES SECONDS: write to it
//     event MILLISECONDS                CODE TIME [PARAMETER]...: the next event, or wait for one; TIME is
//                                       that of CLOCK_MONOTONIC. 0 and no parameters: none came
//     quit
//
// As a PC does, it always asks for an event, whatever else it does: a responder may wait for the host to
// collect one before it goes on (uMTP-Responder does, with its database locked).
//
// Codes, handles, ids and responses are hexadecimal; counts, sizes and times are decimal.
#include <libusb.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 1 << 20, PERIOD = 65521, PATIENCE = 120000, HEADER = 12, CHUNK = 16384, RING = 1024 };
enum { COMMAND = 1, DATA = 2, RESPONSE = 3, OK = 0x2001 };
enum { SEND_OBJECT_INFO = 0x100C, SEND_OBJECT = 0x100D, GET_OBJECT = 0x1009, SET_PROP_VALUE = 0x9804 };

static libusb_device_handle *device;
static int bulk_in, bulk_out, interrupt_in, packet_size;
static uint32_t transaction;
static unsigned char buffer[MOST + 64], pattern[MOST + PERIOD + 64];
static unsigned char *kept;
static size_t kept_length, kept_room;
static struct {
    unsigned char data[64];
    int length;
    double time;
} events[RING]; // a ring; the oldest are lost
static unsigned events_heard, events_told;
static uint32_t *handles;
static size_t handle_count, handle_room;

typedef struct {
    unsigned code, count;
    uint32_t parameters[5];
    uint64_t length; // of the data phase, without its header
} Answer;

static void fail(const char *format, ...) {
    va_list words;
    va_start(words, format);
    printf("error ");
    vprintf(format, words);
    printf("\n");
    fflush(stdout);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void put16(unsigned char *at, unsigned value) { at[0] = value, at[1] = value >> 8; }
static void put32(unsigned char *at, uint32_t value) { put16(at, value & 0xFFFF), put16(at + 2, value >> 16); }
static unsigned get16(const unsigned char *at) { return at[0] | at[1] << 8; }
static uint32_t get32(const unsigned char *at) { return get16(at) | (uint32_t)get16(at + 2) << 16; }

// Bytes over the cable

static int transfer(int endpoint, unsigned char *data, int length) {
    int done = 0;
    int result = libusb_bulk_transfer(device, endpoint, data, length, &done, PATIENCE);
    if (result) fail("endpoint %02x: %s after %d of %d bytes", endpoint, libusb_error_name(result), done, length);
    return done;
}

static void send_container(int kind, unsigned code, uint64_t total, const unsigned char *head, int head_length) {
    static unsigned char container[64];
    put32(container, total > 0xFFFFFFFF ? 0xFFFFFFFF : total);
    put16(container + 4, kind);
    put16(container + 6, code);
    put32(container + 8, transaction);
    memcpy(container + HEADER, head, head_length);
    transfer(bulk_out, container, HEADER + head_length);
}

static void send_command(unsigned code, const uint32_t *parameters, unsigned count) {
    unsigned char body[20];
    for (unsigned i = 0; i < count; i++) put32(body + 4 * i, parameters[i]);
    transaction++;
    send_container(COMMAND, code, HEADER + 4 * count, body, 4 * count);
}

// The data phase to the responder: `size` bytes of `data`, or of the pattern where there is none.
static void send_data(unsigned code, const unsigned char *data, uint64_t size, int chunk) {
    uint64_t total = size + HEADER, sent = 0;
    while (sent < total) {
        int length = total - sent < (uint64_t)chunk ? (int)(total - sent) : chunk;
        unsigned char *piece;
        if (!sent) {
            put32(buffer, total > 0xFFFFFFFF ? 0xFFFFFFFF : total);
            put16(buffer + 4, DATA);
            put16(buffer + 6, code);
            put32(buffer + 8, transaction);
            memcpy(buffer + HEADER, data ? data : pattern, length - HEADER);
            piece = buffer;
        } else
            piece = data ? (unsigned char *)data + sent - HEADER : pattern + (sent - HEADER) % PERIOD;
        transfer(bulk_out, piece, length);
        sent += length;
    }
    if (total % packet_size == 0) transfer(bulk_out, buffer, 0);
}

static void read_response(Answer *answer, const unsigned char *at, int length) {
    if (length < HEADER || get16(at + 4) != RESPONSE) fail("no response, but %d bytes of type %u", length, length < 6 ? 0 : get16(at + 4));
    answer->code = get16(at + 6);
    answer->count = (length - HEADER) / 4;
    for (unsigned i = 0; i < answer->count && i < 5; i++) answer->parameters[i] = get32(at + HEADER + 4 * i);
}

static void keep(const unsigned char *data, size_t length) {
    if (kept_length + length > kept_room) {
        kept_room = 2 * (kept_length + length);
        kept = realloc(kept, kept_room);
        if (!kept) fail("out of memory");
    }
    memcpy(kept + kept_length, data, length);
    kept_length += length;
}

static void compare(const unsigned char *data, uint64_t at, size_t length) {
    if (memcmp(data, pattern + at % PERIOD, length)) fail("wrong bytes from %llu on", (unsigned long long)at);
}

// What comes after a command: data up to its short packet, if any, and the response.
static void receive(Answer *answer, int chunk, int keeps, int checks) {
    int got = transfer(bulk_in, buffer, chunk);
    answer->length = 0;
    if (got >= HEADER && get16(buffer + 4) == RESPONSE) {
        read_response(answer, buffer, got);
        return;
    }
    if (got < HEADER || get16(buffer + 4) != DATA) fail("neither data nor response: %d bytes", got);
    uint64_t total = got;
    if (keeps) keep(buffer + HEADER, got - HEADER);
    if (checks) compare(buffer + HEADER, 0, got - HEADER);
    uint32_t said = get32(buffer);
    // A header that comes as a packet of its own is a short packet, and yet not the end.
    while (got == chunk || (total == HEADER && said > HEADER)) {
        got = transfer(bulk_in, buffer, chunk);
        if (total == said && got >= HEADER && get16(buffer + 4) == RESPONSE) { // without a zero-length packet
            answer->length = total - HEADER;
            read_response(answer, buffer, got);
            return;
        }
        if (keeps) keep(buffer, got);
        if (checks) compare(buffer, total - HEADER, got);
        total += got;
    }
    answer->length = total - HEADER;
    got = transfer(bulk_in, buffer, 512 > packet_size ? 512 : packet_size);
    read_response(answer, buffer, got);
}

static Answer operate(unsigned code, const uint32_t *parameters, unsigned count, int chunk, int keeps, int checks) {
    Answer answer = {0};
    send_command(code, parameters, count);
    receive(&answer, chunk, keeps, checks);
    return answer;
}

static Answer operate_out(unsigned code, const uint32_t *parameters, unsigned count, const unsigned char *data, uint64_t size, int chunk) {
    Answer answer = {0};
    send_command(code, parameters, count);
    send_data(code, data, size, chunk);
    receive(&answer, chunk, 0, 0);
    return answer;
}

// Datasets

static int put_string(unsigned char *at, const char *text) {
    int length = strlen(text) + 1;
    at[0] = length;
    for (int i = 0; i < length; i++) put16(at + 1 + 2 * i, (unsigned char)text[i]);
    return 1 + 2 * length;
}

static Answer announce(uint32_t storage, uint32_t parent, uint64_t size, const char *name) {
    static unsigned char info[1024];
    memset(info, 0, sizeof info);
    put32(info, storage);
    put16(info + 4, 0x3000);
    put32(info + 8, size > 0xFFFFFFFF ? 0xFFFFFFFF : size);
    put32(info + 38, parent == 0xFFFFFFFF ? 0 : parent);
    int length = 52 + put_string(info + 52, name);
    info[length++] = 0, info[length++] = 0, info[length++] = 0;
    uint32_t parameters[2] = {storage, parent};
    return operate_out(SEND_OBJECT_INFO, parameters, 2, info, length, CHUNK);
}

static Answer upload(uint32_t storage, uint32_t parent, uint64_t size, int chunk, const char *name, uint32_t *handle) {
    Answer answer = announce(storage, parent, size, name);
    if (answer.code != OK) return answer;
    *handle = answer.parameters[2];
    return operate_out(SEND_OBJECT, NULL, 0, NULL, size, chunk);
}

static void remember(uint32_t handle) {
    if (handle_count == handle_room) {
        handle_room = handle_room ? 2 * handle_room : 1024;
        handles = realloc(handles, handle_room * sizeof *handles);
        if (!handles) fail("out of memory");
    }
    handles[handle_count++] = handle;
}

// Commands

static unsigned long number(const char *word, int base) {
    char *end;
    if (!word) fail("a word is missing");
    unsigned long value = strtoul(word, &end, base);
    if (*end || end == word) fail("no number: %s", word);
    return value;
}

static unsigned long hexadecimal(char **rest) { return number(strsep(rest, " "), 16); }
static unsigned long decimal(char **rest) { return number(strsep(rest, " "), 10); }

static int chunk_size(char **rest) {
    unsigned long size = decimal(rest);
    if (size < 1024 || size > MOST || size % 1024) fail("no size for host transfers: %lu", size);
    return size;
}

static unsigned read_parameters(char **rest, const char *between, uint32_t handle, uint32_t *parameters) {
    unsigned count = 0;
    for (char *word; count < 5 && (word = strsep(rest, between)) && *word;)
        parameters[count++] = *word == '@' ? handle : number(word, 16);
    return count;
}

static void answered(const Answer *answer, double seconds) {
    printf("%X %llu %.9f", answer->code, (unsigned long long)answer->length, seconds);
    for (unsigned i = 0; i < answer->count && i < 5; i++) printf(" %X", answer->parameters[i]);
    printf("\n");
}

static void do_op(char *rest) {
    uint32_t parameters[5];
    unsigned code = hexadecimal(&rest), count = read_parameters(&rest, " ", 0, parameters);
    kept_length = 0;
    double start = now();
    Answer answer = operate(code, parameters, count, CHUNK, 1, 0);
    answered(&answer, now() - start);
}

static void do_sends(char *rest) {
    static unsigned char data[4096];
    uint32_t parameters[5];
    unsigned code = hexadecimal(&rest);
    char *bytes = strsep(&rest, " ");
    size_t size = bytes ? strlen(bytes) / 2 : 0;
    if (size > sizeof data) fail("too many bytes");
    for (size_t i = 0; i < size; i++) sscanf(bytes + 2 * i, "%2hhx", data + i);
    unsigned count = read_parameters(&rest, " ", 0, parameters);
    double start = now();
    Answer answer = operate_out(code, parameters, count, data, size, CHUNK);
    answered(&answer, now() - start);
}

static void do_data(void) {
    if (!kept_length) printf("-");
    for (size_t i = 0; i < kept_length; i++) printf("%02x", kept[i]);
    printf("\n");
}

static void do_handles(void) {
    handle_count = 0;
    if (kept_length < 4 || kept_length < 4 + 4 * (size_t)get32(kept)) fail("no list of handles");
    for (uint32_t i = 0; i < get32(kept); i++) remember(get32(kept + 4 + 4 * i));
    printf("%zu\n", handle_count);
}

typedef struct {
    unsigned code, count;
    uint32_t parameters[5];
    int own; // the parameter that is the handle, or -1
} Step;

static unsigned read_steps(char **rest, Step *steps) {
    unsigned count = 0;
    for (char *word; count < 8 && (word = strsep(rest, " ")) && *word; count++) {
        Step *step = &steps[count];
        step->code = number(strsep(&word, ","), 16);
        step->own = -1;
        char *handle = word ? strchr(word, '@') : NULL;
        if (handle) {
            step->own = 0;
            for (char *at = word; at < handle; at++) step->own += *at == ',';
        }
        step->count = read_parameters(&word, ",", 0, step->parameters);
    }
    return count;
}

static void do_each(char *rest) {
    Step steps[8];
    double limit = decimal(&rest);
    size_t most = decimal(&rest), done = 0;
    unsigned count = read_steps(&rest, steps), refused = 0;
    uint64_t bytes = 0;
    double start = now();
    for (; done < handle_count && done < most && now() - start < limit; done++)
        for (Step *step = steps; step < steps + count; step++) {
            if (step->own >= 0) step->parameters[step->own] = handles[done];
            Answer answer = operate(step->code, step->parameters, step->count, CHUNK, 0, 0);
            bytes += answer.length;
            refused += answer.code != OK;
        }
    printf("%zu %.9f %llu %u\n", done, now() - start, (unsigned long long)bytes, refused);
}

static void do_get(char *rest) {
    uint32_t handle = hexadecimal(&rest);
    int chunk = chunk_size(&rest), checks = decimal(&rest);
    double start = now();
    Answer answer = operate(GET_OBJECT, &handle, 1, chunk, 0, checks);
    answered(&answer, now() - start);
}

static void do_put(char *rest) {
    uint32_t storage = hexadecimal(&rest), parent = hexadecimal(&rest), handle = 0;
    uint64_t size = decimal(&rest);
    int chunk = chunk_size(&rest);
    double start = now();
    Answer answer = upload(storage, parent, size, chunk, rest, &handle);
    printf("%X %X %.9f\n", answer.code, handle, now() - start);
}

static void do_puts(char *rest) {
    uint32_t storage = hexadecimal(&rest), parent = hexadecimal(&rest), handle = 0;
    unsigned long size = decimal(&rest), count = decimal(&rest), refused = 0;
    char name[200];
    double start = now();
    for (unsigned long i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%.150s%lu", rest, i);
        Answer answer = upload(storage, parent, size, CHUNK, name, &handle);
        if (answer.code == OK) remember(handle);
        else refused++;
    }
    printf("%lu %.9f %lu\n", count, now() - start, refused);
}

static void do_renames(char *rest) {
    size_t count = decimal(&rest);
    unsigned refused = 0;
    unsigned char value[512];
    char name[200];
    double start = now();
    for (size_t i = 0; i < count && i < handle_count; i++) {
        snprintf(name, sizeof name, "%.150s%zu", rest, i);
        uint32_t parameters[2] = {handles[i], 0xDC07};
        int length = put_string(value, name);
        refused += operate_out(SET_PROP_VALUE, parameters, 2, value, length, CHUNK).code != OK;
    }
    printf("%zu %.9f %u\n", count < handle_count ? count : handle_count, now() - start, refused);
}

static void do_bulk(int endpoint, char *rest) {
    uint64_t bytes = decimal(&rest), done = 0;
    int chunk = chunk_size(&rest);
    double start = now();
    while (done < bytes) done += transfer(endpoint, endpoint == bulk_in ? buffer : pattern, chunk);
    printf("%llu %.9f\n", (unsigned long long)done, now() - start);
}

static void do_event(char *rest) {
    double deadline = now() + decimal(&rest) / 1e3, left;
    while (events_heard == events_told && (left = deadline - now()) > 0) {
        struct timeval time = {(long)left, (long)((left - (long)left) * 1e6)};
        libusb_handle_events_timeout(NULL, &time);
    }
    if (events_heard == events_told) {
        printf("0 %.9f\n", now());
        return;
    }
    if (events_heard - events_told > RING) events_told = events_heard - RING;
    unsigned index = events_told++ % RING;
    printf("%X %.9f", get16(events[index].data + 6), events[index].time);
    for (int at = HEADER; at + 4 <= events[index].length; at += 4) printf(" %X", get32(events[index].data + at));
    printf("\n");
}

static void heard(struct libusb_transfer *request) {
    unsigned index = events_heard % RING;
    if (request->status == LIBUSB_TRANSFER_COMPLETED && request->actual_length >= HEADER) {
        memcpy(events[index].data, request->buffer, request->actual_length);
        events[index].length = request->actual_length;
        events[index].time = now();
        events_heard++;
    }
    if (request->status == LIBUSB_TRANSFER_COMPLETED) libusb_submit_transfer(request);
}

static void listen_for_events(void) {
    static unsigned char event[64];
    struct libusb_transfer *request = libusb_alloc_transfer(0);
    libusb_fill_interrupt_transfer(request, device, interrupt_in, event, sizeof event, heard, NULL, 0);
    if (libusb_submit_transfer(request)) fail("the interrupt endpoint cannot be asked");
}

static void obey(char *line) {
    char *rest = line, *verb = strsep(&rest, " ");
    if (!strcmp(verb, "op")) do_op(rest);
    else if (!strcmp(verb, "sends")) do_sends(rest);
    else if (!strcmp(verb, "data")) do_data();
    else if (!strcmp(verb, "handles")) do_handles();
    else if (!strcmp(verb, "forget")) printf("%d\n", (int)(handle_count = 0));
    else if (!strcmp(verb, "each")) do_each(rest);
    else if (!strcmp(verb, "get")) do_get(rest);
    else if (!strcmp(verb, "put")) do_put(rest);
    else if (!strcmp(verb, "puts")) do_puts(rest);
    else if (!strcmp(verb, "renames")) do_renames(rest);
    else if (!strcmp(verb, "drain")) do_bulk(bulk_in, rest);
    else if (!strcmp(verb, "flood")) do_bulk(bulk_out, rest);
    else if (!strcmp(verb, "event")) do_event(rest);
    else fail("unknown: %s", verb);
    fflush(stdout);
}

// The device

static int claim(const struct libusb_interface_descriptor *interface) {
    bulk_in = bulk_out = interrupt_in = 0;
    for (int i = 0; i < interface->bNumEndpoints; i++) {
        const struct libusb_endpoint_descriptor *each = &interface->endpoint[i];
        int kind = each->bmAttributes & 3, in = each->bEndpointAddress & 0x80;
        if (kind == LIBUSB_TRANSFER_TYPE_INTERRUPT && in) interrupt_in = each->bEndpointAddress;
        if (kind != LIBUSB_TRANSFER_TYPE_BULK) continue;
        if (in) bulk_in = each->bEndpointAddress, packet_size = each->wMaxPacketSize;
        else bulk_out = each->bEndpointAddress;
    }
    return bulk_in && bulk_out && !libusb_claim_interface(device, interface->bInterfaceNumber);
}

static void open_device(const char *name) {
    unsigned vendor, product;
    struct libusb_config_descriptor *configuration;
    if (sscanf(name, "%x:%x", &vendor, &product) != 2) fail("no VENDOR:PRODUCT: %s", name);
    if (libusb_init(NULL)) fail("libusb does not start");
    device = libusb_open_device_with_vid_pid(NULL, vendor, product);
    if (!device) fail("no device %s", name);
    libusb_set_auto_detach_kernel_driver(device, 1);
    if (libusb_get_active_config_descriptor(libusb_get_device(device), &configuration)) fail("the device is not configured");
    for (int i = 0; i < configuration->bNumInterfaces; i++)
        if (claim(configuration->interface[i].altsetting)) return;
    fail("no interface with two bulk endpoints that is free");
}

int main(int count, char **words) {
    static char line[16384];
    if (count != 2) fail("usage: client VENDOR:PRODUCT");
    for (size_t i = 0; i < PERIOD; i++) pattern[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = PERIOD; i < sizeof pattern; i++) pattern[i] = pattern[i - PERIOD];
    open_device(words[1]);
    if (interrupt_in) listen_for_events();
    printf("ready %d\n", packet_size);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, "quit")) break;
        obey(line);
    }
    return 0; // the kernel takes back what is under way
}
