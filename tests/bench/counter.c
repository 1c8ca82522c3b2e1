// SPDX-License-Identifier: GPL-3.0-or-later
// A plugin for QEMU's user-mode emulation: counts the instructions that a program executes.
//
//     qemu-x86_64 -plugin ./counter,log=FILE PROGRAM
//
// It writes the count so far to FILE, a line each, whenever the program makes a system call with
// (0, 0x4D5450nn): a marker of number nn. getpriority is such a call, and does nothing.
//
// The few declarations are QEMU's plugin interface, version 1 (include/qemu/qemu-plugin.h), which
// Debian does not package; the symbols come from the emulator that loads this.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { INLINE_ADD_U64 = 0, MARKER = 0x4D545000, MARKER_MASK = 0xFF };

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

int qemu_plugin_version = 1;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*call)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *at, uint64_t value);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id id, void (*call)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                                    uint64_t, uint64_t, uint64_t, uint64_t));

static uint64_t count;
static FILE *output;

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &count, qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t first, uint64_t second, uint64_t third, uint64_t fourth,
                   uint64_t fifth, uint64_t sixth, uint64_t seventh, uint64_t eighth) {
    (void)id, (void)cpu, (void)number, (void)third, (void)fourth, (void)fifth, (void)sixth, (void)seventh, (void)eighth;
    if (first || (second & 0xFFFFFFFF & ~(uint64_t)MARKER_MASK) != MARKER) return;
    fprintf(output, "%" PRIu64 " %" PRIu64 "\n", second & MARKER_MASK, count);
    fflush(output);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "log=", 4)) return fprintf(stderr, "counter: log=FILE is missing\n"), 1;
    output = fopen(argv[0] + 4, "w");
    if (!output) return perror(argv[0] + 4), 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
