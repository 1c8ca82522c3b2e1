// SPDX-License-Identifier: GPL-3.0-or-later
// The ceiling: a USB function that only moves bytes, from and to memory, through FunctionFS.
//
//     pump MOUNTPOINT BYTES [FILE]      (BYTES: of one request)
//
// It writes to its bulk IN endpoint and reads from its bulk OUT endpoint for as long as it lives. What it reads
// it drops, or writes to FILE, anew every 32 MiB.
#include <errno.h>
#include <fcntl.h>
#include <linux/usb/functionfs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 32 << 20 };

static size_t size;
static int store = -1;

// Bytes, for compilers differ in how they pack structures within structures.
#define LE16(value) (value) & 0xFF, (value) >> 8
#define LE32(value) LE16((value) & 0xFFFF), LE16((value) >> 16)
#define INTERFACE 9, 4, 0, 0, 2, 0xFF, 0, 0, 1
#define ENDPOINT(address, packet) 7, 5, address, 2, LE16(packet), 0
#define FUNCTION(packet) INTERFACE, ENDPOINT(0x81, packet), ENDPOINT(0x02, packet)

static const unsigned char descriptors[66] = {
    LE32(FUNCTIONFS_DESCRIPTORS_MAGIC_V2), LE32(sizeof descriptors), LE32(FUNCTIONFS_HAS_FS_DESC | FUNCTIONFS_HAS_HS_DESC),
    LE32(3), LE32(3), // three descriptors for each speed
    FUNCTION(64), FUNCTION(512)};

static const unsigned char strings[23] = {
    LE32(FUNCTIONFS_STRINGS_MAGIC), LE32(sizeof strings), LE32(1), LE32(1), LE16(0x409), 'p', 'u', 'm', 'p', 0};

static int open_endpoint(const char *folder, int index) {
    char path[4096];
    snprintf(path, sizeof path, "%s/ep%d", folder, index);
    int file = open(path, O_RDWR);
    if (file < 0) perror(path), exit(1);
    return file;
}

static void keep(const char *data, ssize_t count) {
    static off_t kept;
    if (kept + count > MOST) {
        if (ftruncate(store, kept = 0)) perror("store"), exit(1);
    }
    if (pwrite(store, data, count, kept) < count) perror("store"), exit(1);
    kept += count;
}

static void *pump_out(void *file) {
    char *buffer = malloc(size);
    ssize_t count;
    while ((count = read(*(int *)file, buffer, size)) >= 0 || errno == EINTR || errno == ESHUTDOWN)
        if (store >= 0 && count > 0) keep(buffer, count);
    perror("read");
    exit(1);
    return NULL;
}

static void *pump_in(void *file) {
    char *buffer = calloc(1, size);
    while (write(*(int *)file, buffer, size) >= 0 || errno == EINTR || errno == ESHUTDOWN);
    perror("write");
    exit(1);
    return NULL;
}

int main(int count, char **words) {
    static int files[3];
    pthread_t threads[2];
    if (count < 3) return fprintf(stderr, "usage: pump MOUNTPOINT BYTES [FILE]\n"), 2;
    if (count > 3 && (store = open(words[3], O_CREAT | O_TRUNC | O_WRONLY, 0600)) < 0) return perror(words[3]), 1;
    size = strtoul(words[2], NULL, 10);
    files[0] = open_endpoint(words[1], 0);
    if (write(files[0], descriptors, sizeof descriptors) < 0) return perror("descriptors"), 1;
    if (write(files[0], strings, sizeof strings) < 0) return perror("strings"), 1;
    files[1] = open_endpoint(words[1], 1);
    files[2] = open_endpoint(words[1], 2);
    pthread_create(&threads[0], NULL, pump_in, &files[1]);
    pthread_create(&threads[1], NULL, pump_out, &files[2]);
    puts("ready");
    fflush(stdout);
    for (;;) { // what the host asks for on endpoint 0 is nothing to us
        struct usb_functionfs_event events[4];
        if (read(files[0], events, sizeof events) < 0 && errno != EINTR) return perror("ep0"), 1;
    }
}
