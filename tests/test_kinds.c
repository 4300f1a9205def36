/* Kinds of pictures that cameras and programs write, through stb_image itself: each becomes the same
   four quarters, or what its kind leaves of them. From the repository's root. */
#define _POSIX_C_SOURCE 200809L
#include "t.h"
#include "examples/pictures.h"

/* What a quarter of red, green, blue and yellow becomes. */
typedef enum kind {
    COLOUR,
    GREY,
    BITS,       /* black or white */
    HALF,       /* half transparent, on white */
    GREY_HALF,  /* the same, grey */
    LEFT_CLEAR, /* red and blue are transparent */
    YELLOW_CLEAR
} kind;

static const int quarters[4][3] = {{200, 40, 40}, {40, 180, 60}, {50, 60, 200}, {220, 210, 60}};
static const int greys[4] = {74, 141, 68, 201};

static int wanted(kind k, int quarter, int c)
{
    const int colour = quarters[quarter][c], grey = greys[quarter];
    switch (k) {
    case COLOUR:
        return colour;
    case GREY:
        return grey;
    case BITS:
        return grey > 127 ? 255 : 0;
    case HALF:
        return (colour + 255) / 2;
    case GREY_HALF:
        return (grey + 255) / 2;
    case LEFT_CLEAR:
        return quarter % 2 ? colour : 255;
    case YELLOW_CLEAR:
        return quarter == 3 ? 255 : colour;
    }
    return -1;
}

static const struct {
    const char *name;
    kind kind;
} kinds[] = {{"rgb.jpg", COLOUR},
             {"sampled.jpg", COLOUR},
             {"progressive.jpg", COLOUR},
             {"odd.jpg", COLOUR},
             {"cmyk.jpg", COLOUR},
             {"grey.jpg", GREY},
             {"turned2.jpg", COLOUR},
             {"turned3.jpg", COLOUR},
             {"turned4.jpg", COLOUR},
             {"turned5.jpg", COLOUR},
             {"turned6.jpg", COLOUR},
             {"turned7.jpg", COLOUR},
             {"turned8.jpg", COLOUR},
             {"rgb.png", COLOUR},
             {"interlaced.png", COLOUR},
             {"palette.png", COLOUR},
             {"deep.png", COLOUR},
             {"grey.png", GREY},
             {"deep-grey.png", GREY},
             {"bits.png", BITS},
             {"half.png", HALF},
             {"deep-half.png", HALF},
             {"grey-half.png", GREY_HALF},
             {"clear.png", LEFT_CLEAR},
             {"palette-clear.png", YELLOW_CLEAR}};

/* JPEG is not exact, nor is the way of others to CMYK and grey. */
static void kinds_of_pictures(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        picture_fit fit = PICTURE_STRETCH;
        int32_t h = 16, w = 24;
        uint8_t pixels[16 * 24 * 3];
        char path[100], text[160] = "";
        const int off = strstr(kinds[i].name, ".png") && kinds[i].kind != GREY_HALF ? 1 : 12;
        snprintf(path, sizeof path, "tests/pictures/kinds/%s", kinds[i].name);
        T_EQ_INT(decode_picture(&fit, path, &h, &w, 3, pixels, text, sizeof text), 0);
        for (int k = 0; k < 12; k++) {
            const int quarter = k / 3, y = quarter / 2 ? 12 : 3, x = quarter % 2 ? 18 : 5;
            const int got = pixels[(y * 24 + x) * 3 + k % 3];
            const int want = wanted(kinds[i].kind, quarter, k % 3);
            t_note("%s %s: quarter %d, channel %d: %d, not %d", kinds[i].name, text, quarter, k % 3,
                   got, want);
            T_CHECK(got >= want - off && got <= want + off);
        }
    }
}

T_MAIN(T_TEST(kinds_of_pictures))
