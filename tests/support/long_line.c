/* Forward packets between two TUN devices as a long line does: rate, queue, delay, jitter and loss.

   long_line FD FD RATE_BITS QUEUE_BYTES DELAY_US JITTER_US LOST_PER_MILLION SEED

   Each direction has its own rate, queue and losses. A packet that finds the queue full is dropped, as is one
   that the dice choose. Packets are never reordered: jitter delays those behind, too. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PACKET = 1500, SLOTS = 1 << 15 };

struct packet {
    uint64_t due_ns;
    uint16_t length;
    unsigned char bytes[MAX_PACKET];
};

struct direction {
    int from, to;
    uint64_t free_ns;    /* when the line has sent what waits for it */
    uint64_t last_due_ns;
    uint32_t first, count;
    struct packet *packets;
};

static uint64_t rate_bits, queue_ns, delay_ns, jitter_ns, lost_per_million, dice;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t roll(uint64_t below) { /* xorshift64* */
    dice ^= dice >> 12;
    dice ^= dice << 25;
    dice ^= dice >> 27;
    return (dice * 2685821657736338717u >> 11) % below;
}

static void take(struct direction *line) {
    unsigned char spare[MAX_PACKET];
    for (;;) {
        struct packet *packet = &line->packets[(line->first + line->count) % SLOTS];
        int is_full = line->count == SLOTS;
        ssize_t length = read(line->from, is_full ? spare : packet->bytes, MAX_PACKET);
        if (length <= 0)
            return;
        uint64_t now = now_ns();
        uint64_t start = line->free_ns > now ? line->free_ns : now;
        if (is_full || start - now > queue_ns)
            continue;
        line->free_ns = start + (uint64_t)length * 8u * 1000000000u / rate_bits;
        if (lost_per_million && roll(1000000) < lost_per_million)
            continue;
        uint64_t due = line->free_ns + delay_ns + (jitter_ns ? roll(jitter_ns) : 0);
        if (due < line->last_due_ns)
            due = line->last_due_ns;
        packet->due_ns = line->last_due_ns = due;
        packet->length = (uint16_t)length;
        line->count++;
    }
}

static void deliver(struct direction *line) {
    uint64_t now = now_ns();
    while (line->count && line->packets[line->first].due_ns <= now) {
        struct packet *packet = &line->packets[line->first];
        if (write(line->to, packet->bytes, packet->length) < 0)
            perror("write");
        line->first = (line->first + 1) % SLOTS;
        line->count--;
    }
}

static int64_t wait_ns(const struct direction *lines) {
    int64_t wait = 1000000000;
    uint64_t now = now_ns();
    for (int each = 0; each < 2; each++)
        if (lines[each].count) {
            int64_t left = (int64_t)(lines[each].packets[lines[each].first].due_ns - now);
            wait = left < wait ? left : wait;
        }
    return wait > 0 ? wait : 0;
}

int main(int count, char **words) {
    if (count != 9)
        return 2;
    int near = atoi(words[1]), far = atoi(words[2]);
    rate_bits = strtoull(words[3], NULL, 10);
    queue_ns = strtoull(words[4], NULL, 10) * 8u * 1000000000u / rate_bits;
    delay_ns = strtoull(words[5], NULL, 10) * 1000u;
    jitter_ns = strtoull(words[6], NULL, 10) * 1000u;
    lost_per_million = strtoull(words[7], NULL, 10);
    dice = strtoull(words[8], NULL, 10) * 2u + 1u;
    struct direction lines[2] = {{.from = near, .to = far}, {.from = far, .to = near}};
    for (int each = 0; each < 2; each++) {
        lines[each].packets = calloc(SLOTS, sizeof(struct packet));
        if (!lines[each].packets)
            return 1;
        fcntl(lines[each].from, F_SETFL, O_NONBLOCK);
    }
    struct pollfd watched[2] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
    for (;;) {
        int64_t wait = wait_ns(lines);
        struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        ppoll(watched, 2, &timeout, NULL);
        for (int each = 0; each < 2; each++) {
            take(&lines[each]);
            deliver(&lines[each]);
        }
    }
}
