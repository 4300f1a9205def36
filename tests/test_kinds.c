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
    YELLOW_CLEAR,
    GREY_CLEAR /* the same, grey */
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
    case GREY_CLEAR:
        return quarter == 3 ? 255 : grey;
    }
    return -1;
}

/* page: what docs/PICTURES.md calls it */
static const struct {
    const char *name;
    kind kind;
    const char *page;
} kinds[] = {{"rgb.jpg", COLOUR, "JPEG"},
             {"sampled.jpg", COLOUR, "colours at half the size"},
             {"progressive.jpg", COLOUR, "progressive"},
             {"restarts.jpg", COLOUR, "restart markers"},
             {"odd.jpg", COLOUR, "JPEG"},
             {"stored-rgb.jpg", COLOUR, "JPEG in RGB"},
             {"profile.jpg", COLOUR, "with a colour profile"},
             {"cmyk.jpg", COLOUR, "CMYK JPEG"},
             {"grey.jpg", GREY, "grey"},
             {"turned2.jpg", COLOUR, "EXIF's orientation"},
             {"turned3.jpg", COLOUR, "EXIF's orientation"},
             {"turned4.jpg", COLOUR, "EXIF's orientation"},
             {"turned5.jpg", COLOUR, "EXIF's orientation"},
             {"turned6.jpg", COLOUR, "EXIF's orientation"},
             {"turned7.jpg", COLOUR, "EXIF's orientation"},
             {"turned8.jpg", COLOUR, "EXIF's orientation"},
             {"png.jpg", COLOUR, "PNG called .jpg"},
             {"rgb.png", COLOUR, "PNG"},
             {"turned.png", COLOUR, "that of a PNG"},
             {"interlaced.png", COLOUR, "interlaced"},
             {"animated.png", COLOUR, "animated PNG"},
             {"gamma.png", COLOUR, "gamma"},
             {"palette.png", COLOUR, "palette"},
             {"few.png", COLOUR, "palette"},
             {"deep.png", COLOUR, "16 bits"},
             {"grey.png", GREY, "grey"},
             {"deep-grey.png", GREY, "16 bits"},
             {"bits.png", BITS, "black and white"},
             {"half.png", HALF, "transparent"},
             {"deep-half.png", HALF, "transparent"},
             {"grey-half.png", GREY_HALF, "transparent"},
             {"clear.png", LEFT_CLEAR, "transparent"},
             {"palette-clear.png", YELLOW_CLEAR, "transparent"},
             {"key.png", YELLOW_CLEAR, "transparent"},
             {"deep-key.png", YELLOW_CLEAR, "transparent"},
             {"grey-key.png", GREY_CLEAR, "transparent"}};
enum {
    KINDS = sizeof kinds / sizeof kinds[0]
};

/* What nobody decodes here is refused by a word of its own. */
static const struct {
    const char *name, *fault, *page;
} rare[] = {{"arithmetic.jpg", "rare kind, arithmetic or lossless", "arithmetic or lossless JPEG"},
            {"deep.jpg", "has not 8 bits a colour", "JPEG of 12 bits"}};
enum {
    RARE = sizeof rare / sizeof rare[0]
};

/* JPEG is not exact, nor is the way of others to CMYK and grey. */
static void kinds_of_pictures(void)
{
    for (int i = 0; i < KINDS; i++) {
        picture_fit fit = PICTURE_STRETCH;
        int32_t h = 16, w = 24;
        uint8_t pixels[16 * 24 * 3];
        char path[100], text[160] = "";
        const int exact = kinds[i].kind != GREY_HALF && kinds[i].kind != GREY_CLEAR;
        const int off = strstr(kinds[i].name, ".png") && exact ? 1 : 12;
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

static void rare_kinds_are_refused(void)
{
    for (int i = 0; i < RARE; i++) {
        picture_fit fit = PICTURE_STRETCH;
        int32_t h = 16, w = 24;
        uint8_t pixels[16 * 24 * 3];
        char path[100], text[160] = "";
        snprintf(path, sizeof path, "tests/pictures/kinds/%s", rare[i].name);
        T_CHECK(decode_picture(&fit, path, &h, &w, 3, pixels, text, sizeof text) != 0);
        t_note("%s: %s", rare[i].name, text);
        T_CHECK(strstr(text, rare[i].fault) != NULL);
    }
}

/* From its heading on, the page has a word for each of them. */
static void the_page_names_them(void)
{
    static char page[20000];
    FILE *f = fopen("docs/PICTURES.md", "rb");
    T_REQUIRE(f);
    page[fread(page, 1, sizeof page - 1, f)] = 0;
    fclose(f);
    const char *list = strstr(page, "## What becomes of a picture");
    T_REQUIRE(list);
    for (int i = 0; i < KINDS + RARE; i++) {
        const char *name = i < KINDS ? kinds[i].page : rare[i - KINDS].page;
        t_note("%s", name);
        T_CHECK(strstr(list, name) != NULL);
    }
}

T_MAIN(T_TEST(kinds_of_pictures), T_TEST(rare_kinds_are_refused), T_TEST(the_page_names_them))
