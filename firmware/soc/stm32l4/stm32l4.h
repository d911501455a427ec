/* SPDX-License-Identifier: Apache-2.0 */
/* STM32L4+ (STM32L4R5), registers as in the reference manual RM0432. */
#ifndef TJ_SOC_STM32L4_H
#define TJ_SOC_STM32L4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STM32L4_TIM2_IRQ = 28,
    STM32L4_LPUART1_IRQ = 70,
    STM32L4_IRQ_COUNT = 95,
};

enum stm32l4_port { STM32L4_PORT_F = 5, STM32L4_PORT_G = 6 };

/* Core and buses at clock_tree.h's 120 MHz. Does not return without the 32.768 kHz crystal. */
void stm32l4_clock_tree_init(void);

/* VDDIO2 is there: needed before PG2 to PG15 can be used (RM0432, PWR_CR2 bit IOSV). */
void stm32l4_vddio2_enable(void);

/* Pins 0 to 15. Output: push-pull, starts high. Alternate: push-pull, pull-up, function 0 to 15. */
void stm32l4_pin_output(enum stm32l4_port port, uint32_t pin);
void stm32l4_pin_alternate(enum stm32l4_port port, uint32_t pin, uint32_t function);
void stm32l4_pin_set(enum stm32l4_port port, uint32_t pin, bool high);

/* Microseconds from TIM2; it interrupts when its 32 bits wrap, every 71.6 minutes. */
void stm32l4_time_init(void);
uint64_t stm32l4_time_us(void);
void stm32l4_time_isr(void);

/* LPUART1, 8N1; its pins are the board's to set up. The rest is board.h's contract. */
void stm32l4_lpuart_init(uint32_t baud);
int stm32l4_lpuart_read(uint8_t *bytes, size_t capacity);
void stm32l4_lpuart_write(const uint8_t *bytes, size_t count);
void stm32l4_lpuart_flush(void);
uint32_t stm32l4_lpuart_capacity(void);
uint32_t stm32l4_lpuart_baud(void);
uint32_t stm32l4_lpuart_baud_max(void);
bool stm32l4_lpuart_baud_possible(uint32_t baud);
int stm32l4_lpuart_set_baud(uint32_t baud);
void stm32l4_lpuart_isr(void);

#endif
