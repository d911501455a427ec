/* SPDX-License-Identifier: Apache-2.0 */
/* ADD and SUB, int8. Both inputs are brought to a common scale with 20 more bits before they meet. */
#include "broadcast.h"
#include "common.h"
#include "kernels.h"
#include "requantize.h"

#if CORE_MVE
#include <arm_mve.h>
#endif

enum { OPTION_ACTIVATION = 0, LEFT_SHIFT = 20 };

struct add {
    struct step step;
    struct broadcast io;
    int32_t multipliers[2];
    int32_t multiplier;
    int16_t zero_points[2];
    int16_t zero_point;
    int8_t shifts[2];
    int8_t shift, low, high;
};

/* What the inputs and their sum are multiplied by. */
struct ratios {
    double inputs[2], output;
};

/* TFLM's ADD computes in double. */
static struct ratios ratios_in_double(const struct tensor *inputs, const struct tensor *output)
{
    double twice = 2 * (double)(inputs[0].scale > inputs[1].scale ? inputs[0].scale : inputs[1].scale);
    struct ratios ratios = {{(double)inputs[0].scale / twice, (double)inputs[1].scale / twice},
                            twice / ((1 << LEFT_SHIFT) * (double)output->scale)};

    return ratios;
}

/* Its SUB computes in float. */
static struct ratios ratios_in_float(const struct tensor *inputs, const struct tensor *output)
{
    float twice = 2 * (inputs[0].scale > inputs[1].scale ? inputs[0].scale : inputs[1].scale);
    struct ratios ratios = {{(double)(inputs[0].scale / twice), (double)(inputs[1].scale / twice)},
                            (double)(twice / ((1 << LEFT_SHIFT) * output->scale))};

    return ratios;
}

static int make_scales(struct load *load, const struct ratios *ratios, struct add *add)
{
    struct quantize_scale scale;

    for (int i = 0; i < 2; i++) {
        if (!quantize_from_real(ratios->inputs[i], &scale) || scale.shift > 0) {
            /* At most a half, but for an overflow in float. */
            return load_refuse(load, ENGINE_E_UNSUPPORTED, "scale of an input is too large");
        }
        add->multipliers[i] = scale.multiplier;
        add->shifts[i] = scale.shift;
    }
    if (!quantize_from_real(ratios->output, &scale) || scale.shift > 0) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "scales of inputs and output are too far apart");
    }
    add->multiplier = scale.multiplier;
    add->shift = scale.shift;
    return ENGINE_OK;
}

static int prepare(struct load *load, struct ratios (*make_ratios)(const struct tensor *, const struct tensor *),
                   void (*run)(const struct step *step))
{
    struct tensor inputs[2], output;
    struct add add = {.step = {NULL, 0, 0}};
    struct ratios ratios;
    int status;

    if ((status = broadcast_prepare(load, inputs, &output, &add.io)) != ENGINE_OK) {
        return status;
    }
    ratios = make_ratios(inputs, &output);
    if ((status = make_scales(load, &ratios, &add)) != ENGINE_OK ||
        (status = common_make_range(
             load, &output,
             reader_i8(&load->graph.reader, &load->operation.options, OPTION_ACTIVATION, ACTIVATION_NONE), &add.low,
             &add.high)) != ENGINE_OK) {
        return status;
    }
    add.zero_points[0] = (int16_t)inputs[0].zero_point;
    add.zero_points[1] = (int16_t)inputs[1].zero_point;
    add.zero_point = (int16_t)output.zero_point;
    add.step.run = run;
    return load_keep(load, &add.step, sizeof add);
}

static inline int32_t rescale(const struct add *add, int i, int32_t q)
{
    int32_t value = (q - add->zero_points[i]) * (1 << LEFT_SHIFT);

    return quantize_shift_right(quantize_high_mul(value, add->multipliers[i]), -add->shifts[i]);
}

static inline int8_t finish(const struct add *add, int32_t sum)
{
    sum = quantize_shift_right(quantize_high_mul(sum, add->multiplier), -add->shift);
    return quantize_to_int8(sum, add->zero_point, add->low, add->high);
}

/* Whether add_quickly() may be used: what is nearly always so. */
static bool is_quick(const struct add *add, const int32_t *steps)
{
    const int32_t half = 1 << 30; /* with no shift: a multiplier of 1/2, that of the input with the larger scale */
    const bool has_half =
        (add->multipliers[0] == half && add->shifts[0] == 0) || (add->multipliers[1] == half && add->shifts[1] == 0);

    return has_half && add->shifts[0] >= -REQUANTIZE_MAX_SHIFT && add->shifts[1] >= -REQUANTIZE_MAX_SHIFT &&
           add->shift <= -1 && add->shift >= -REQUANTIZE_MAX_SHIFT && steps[0] == 1 && steps[1] == 1 &&
           add->low == INT8_MIN && add->high == INT8_MAX;
}

/* One input needs no multiplication, only a shift to the left; what the other needs. */
struct pair {
    const int8_t *simple, *other;
    int32_t simple_zero_point, other_zero_point;
    int32_t multiplier, shift; /* of the other, to the right */
    int32_t fixed; /* taken off a negative value, so that halves go away from zero: 1, or 0 without a shift */
};

#if CORE_MVE

/* The same sums, four at a time. */
static void add_quickly(const struct add *add, const struct pair *pair, int8_t *output, uint32_t count)
{
    const int8_t *a = pair->simple;
    const int8_t *b = pair->other;
    const int32x4_t low = vdupq_n_s32(INT8_MIN);
    const int32x4_t high = vdupq_n_s32(INT8_MAX);

    __asm volatile(
        "wlstp.32 lr, %[count], 2f\n\t"
        "1:\n\t"
        "vldrb.s32 q0, [%[b]], #4\n\t"
        "vsub.i32 q0, q0, %[b_zero_point]\n\t"
        "vshl.i32 q0, q0, #20\n\t"
        "vqrdmulh.s32 q0, q0, %[multiplier]\n\t"
        "vshr.s32 q1, q0, #31\n\t"
        "vmla.s32 q0, q1, %[fixed]\n\t"
        "vrshl.s32 q0, %[left]\n\t"
        "vldrb.s32 q1, [%[a]], #4\n\t"
        "vsub.i32 q1, q1, %[a_zero_point]\n\t"
        "vshl.i32 q1, q1, #19\n\t"
        "vadd.i32 q0, q0, q1\n\t"
        "vqrdmulh.s32 q0, q0, %[sum_multiplier]\n\t"
        "vshr.s32 q1, q0, #31\n\t"
        "vadd.i32 q0, q0, q1\n\t"
        "vrshl.s32 q0, %[sum_left]\n\t"
        "vadd.i32 q0, q0, %[zero_point]\n\t"
        "vmax.s32 q0, q0, %q[low]\n\t"
        "vmin.s32 q0, q0, %q[high]\n\t"
        "vstrb.32 q0, [%[output]], #4\n\t"
        "letp lr, 1b\n\t"
        "2:\n\t"
        : [a] "+r"(a), [b] "+r"(b), [output] "+r"(output)
        : [count] "r"(count), [a_zero_point] "r"(pair->simple_zero_point), [b_zero_point] "r"(pair->other_zero_point),
          [multiplier] "r"(pair->multiplier), [fixed] "r"(pair->fixed), [left] "r"(-pair->shift),
          [sum_multiplier] "r"(add->multiplier), [sum_left] "r"((int32_t)add->shift),
          [zero_point] "r"((int32_t)add->zero_point), [low] "w"(low), [high] "w"(high)
        : "lr", "q0", "q1", "memory");
}

#else

/* The same sums; nothing is looked up again for each element. */
static void add_quickly(const struct add *add, const struct pair *pair, int8_t *output, uint32_t count)
{
    const int8_t *a = pair->simple;
    const int8_t *b = pair->other;
    const int32_t a_zero_point = pair->simple_zero_point;
    const int32_t b_zero_point = pair->other_zero_point;
    const int32_t multiplier = pair->multiplier;
    const int32_t shift = pair->shift;
    const int32_t rounding = 1 << shift >> 1;
    const int32_t sign = -pair->fixed;
    const struct requantize scale = {
        .multiplier = add->multiplier,
        .shift = -add->shift,
        .offset = (1 << -add->shift >> 1) + add->zero_point * (1 << -add->shift),
    };
    const int8_t *end = a + count;

    while (a != end) {
        int32_t value = requantize_high_mul((*b++ - b_zero_point) * (1 << LEFT_SHIFT), multiplier);

        value = (value + ((value >> 31) & sign) + rounding) >> shift;
        value += (*a++ - a_zero_point) * (1 << (LEFT_SHIFT - 1));
        *output++ = (int8_t)requantize_quickly(&scale, value);
    }
}

#endif

static struct pair make_pair(const struct add *add, const int8_t *const *inputs)
{
    const int simple = add->multipliers[0] == 1 << 30 && add->shifts[0] == 0 ? 0 : 1;
    const int other = 1 - simple;

    return (struct pair){.simple = inputs[simple],
                         .other = inputs[other],
                         .simple_zero_point = add->zero_points[simple],
                         .other_zero_point = add->zero_points[other],
                         .multiplier = add->multipliers[other],
                         .shift = -add->shifts[other],
                         .fixed = add->shifts[other] != 0 ? 1 : 0};
}

static void add_row(const struct step *step, const int8_t *const *inputs, const int32_t *steps, int8_t *output,
                    uint32_t count)
{
    const struct add *add = (const struct add *)(const void *)step;
    const int8_t *a = inputs[0];
    const int8_t *b = inputs[1];

    if (is_quick(add, steps)) {
        const struct pair pair = make_pair(add, inputs);

        add_quickly(add, &pair, output, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        output[i] = finish(add, rescale(add, 0, *a) + rescale(add, 1, *b));
        a += steps[0];
        b += steps[1];
    }
}

static void sub_row(const struct step *step, const int8_t *const *inputs, const int32_t *steps, int8_t *output,
                    uint32_t count)
{
    const struct add *add = (const struct add *)(const void *)step;
    const int8_t *a = inputs[0];
    const int8_t *b = inputs[1];

    for (uint32_t i = 0; i < count; i++) {
        output[i] = finish(add, rescale(add, 0, *a) - rescale(add, 1, *b));
        a += steps[0];
        b += steps[1];
    }
}

static void add_run(const struct step *step)
{
    broadcast_run(&((const struct add *)(const void *)step)->io, step, add_row);
}

static void sub_run(const struct step *step)
{
    broadcast_run(&((const struct add *)(const void *)step)->io, step, sub_row);
}

int add_prepare(struct load *load)
{
    return prepare(load, ratios_in_double, add_run);
}

int sub_prepare(struct load *load)
{
    return prepare(load, ratios_in_float, sub_run);
}
