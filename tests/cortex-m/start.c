/* What a Cortex-M reads when it starts: its stack, and where to begin. newlib's _start does the rest
   (clears .bss, opens the host's console, calls main and exit). */
#include <stdint.h>

extern uint32_t stack_top;
void _start(void);

static void reset(void)
{
    volatile uint32_t *cpacr = (volatile uint32_t *)0xe000ed88; /* lets code use the FPU */
    *cpacr |= 0xfu << 20;
    __asm__ volatile("dsb\n isb");
    _start();
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*reset)(void);
} vectors = {&stack_top, reset};
