/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one input as they came over the wire, and how far they can be trusted. An input is used only in state
 * INPUT_WHOLE: exactly as many bytes as `db load` announced, all of them good; or bytes of frames whose CRC is the one
 * that the last frame told. Text and frames fill the same buffer: a load of one kind puts an end to one of the other.
 */
#ifndef TJ_INPUT_H
#define TJ_INPUT_H

#include <stdbool.h>
#include <stdint.h>

enum input_state {
    INPUT_IDLE,    /* nothing was announced, or it was dropped */
    INPUT_LOADING, /* `count` of `size` bytes are in */
    INPUT_WHOLE,
    INPUT_FAILED,  /* until the next load begins */
    INPUT_GROWING, /* `count` bytes of frames are in, and more will come */
    INPUT_SPOILT   /* like failed; the frames up to the load's last one have no effect */
};

/* Size and CRC are of the load in progress or whole. */
struct input {
    uint8_t *bytes; /* the caller's */
    uint32_t capacity;
    uint32_t size;
    uint32_t count;
    uint32_t crc; /* zlib's CRC-32 of `count` bytes */
    enum input_state state;
    bool framed; /* whole, and by frames that the next ones follow: it may be kept in part */
};

enum input_status {
    INPUT_OK = 0,
    INPUT_DONE = 1,         /* this call brought the last byte */
    INPUT_E_STATE = -1,     /* no load is in progress: idle or failed */
    INPUT_E_HEX_COUNT = -2, /* an odd number of digits; the load has failed */
    INPUT_E_HEX_DIGIT = -3, /* not two hex digits; the load has failed */
    INPUT_E_CAPACITY = -4,  /* more than `capacity` bytes; the load has failed */
    INPUT_E_CRC = -5,       /* not the bytes that were meant; the load has failed */
    INPUT_E_KEEP = -6       /* no such bytes to keep; the load has failed */
};

void input_init(struct input *input, uint8_t *bytes, uint32_t capacity);

/* Forget everything: state idle. */
void input_drop(struct input *input);

/* Nothing that came so far can be trusted: state failed. */
void input_fail(struct input *input);

/* Expect `size` > 0 bytes. Returns 0 or INPUT_E_CAPACITY. */
int input_begin(struct input *input, uint32_t size);

/* Take bytes as hex digits; digits beyond the announced size are dropped, unread. *bad points to the first pair that
 * is none, with INPUT_E_HEX_DIGIT only. Returns an input_status; data for a whole input are dropped with INPUT_OK. */
int input_add_hex(struct input *input, const char *digits, const char **bad);

/* Take the bytes of a frame: the first ones of an input unless one is growing. Returns INPUT_OK; INPUT_E_CAPACITY, then
 * input->count is what did fit; or INPUT_E_STATE for bytes that follow ones which were refused. */
int input_add_bytes(struct input *input, const uint8_t *bytes, uint32_t count);

/* How many bytes of the input that is there the next one may begin with; 0: none. */
uint32_t input_keepable(const struct input *input);

/* Begin an input with the last `count` bytes of the one that is there: 1 to input_keepable(). Returns INPUT_OK,
 * INPUT_E_KEEP, or INPUT_E_STATE behind bytes which were refused. */
int input_keep(struct input *input, uint32_t count);

/* The frame taken last was the load's last one; `crc` is of the whole input. Returns INPUT_DONE, INPUT_E_CRC
 * (input->crc tells the one it has), or INPUT_E_STATE when there is no input, or one that was refused. */
int input_finish(struct input *input, uint32_t crc);

#endif
