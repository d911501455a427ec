/* SPDX-License-Identifier: Apache-2.0 */
/* RM0432, chapter GPIO. */
#include "soc/stm32l4/registers.h"
#include "soc/stm32l4/stm32l4.h"

enum {
    GPIO_BASE = 0x48000000,
    GPIO_STRIDE = 0x400,
    MODER = 0x00, /* 2 bits a pin: 0 input, 1 output, 2 alternate, 3 analog (reset) */
    OTYPER = 0x04,
    OSPEEDR = 0x08, /* 2 bits a pin: 0 low, 1 medium, 2 high, 3 very high */
    PUPDR = 0x0C,   /* 2 bits a pin: 0 none, 1 up, 2 down */
    BSRR = 0x18,    /* lower half sets, upper half clears */
    AFRL = 0x20,    /* 4 bits a pin, pins 8 to 15 in the next register */

    MODE_OUTPUT = 1,
    MODE_ALTERNATE = 2,
    SPEED_MEDIUM = 1, /* edges of a few ns: what a timing pin needs, without more ringing than that */
    PULL_NONE = 0,
    PULL_UP = 1,
};

static uint32_t port_address(enum stm32l4_port port)
{
    return GPIO_BASE + GPIO_STRIDE * (uint32_t)port;
}

static void set_field(uint32_t address, uint32_t pin, uint32_t value)
{
    stm32l4_modify(address, 3U << (2U * pin), value << (2U * pin));
}

static void configure(enum stm32l4_port port, uint32_t pin, uint32_t mode, uint32_t pull)
{
    uint32_t base = port_address(port);
    stm32l4_modify(base + OTYPER, 1U << pin, 0); /* push-pull */
    set_field(base + OSPEEDR, pin, SPEED_MEDIUM);
    set_field(base + PUPDR, pin, pull);
    set_field(base + MODER, pin, mode); /* last: the pin is driven from here on */
}

void stm32l4_pin_output(enum stm32l4_port port, uint32_t pin)
{
    stm32l4_clock_enable(RCC_AHB2ENR, 1U << (uint32_t)port);
    stm32l4_pin_set(port, pin, true); /* before it is an output: no low pulse */
    configure(port, pin, MODE_OUTPUT, PULL_NONE);
}

void stm32l4_pin_alternate(enum stm32l4_port port, uint32_t pin, uint32_t function)
{
    stm32l4_clock_enable(RCC_AHB2ENR, 1U << (uint32_t)port);
    uint32_t shift = 4U * (pin % 8U);
    stm32l4_modify(port_address(port) + AFRL + 4U * (pin / 8U), 15U << shift, function << shift);
    configure(port, pin, MODE_ALTERNATE, PULL_UP);
}

void stm32l4_pin_set(enum stm32l4_port port, uint32_t pin, bool high)
{
    *cortexm_register(port_address(port) + BSRR) = 1U << (high ? pin : pin + 16U);
}
