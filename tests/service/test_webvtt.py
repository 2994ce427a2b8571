from spaces_ctl.service.webvtt import Cue, webvtt


def test_names_and_text_cannot_break_out() -> None:
    made = webvtt([Cue(1, 0, 1_500, "A>nn & <b>\n\n", "1 < 2 --> & </v>\n\n00:00.000 --> 00:01.000\x00\x1b")], "en")
    assert made == (
        "WEBVTT\nKind: captions\nLanguage: en\n\n"
        "1\n00:00:00.000 --> 00:00:01.500\n"
        "<v A&gt;nn &amp; &lt;b&gt;>1 &lt; 2 --&gt; &amp; &lt;/v&gt; 00:00.000 --&gt; 00:01.000</v>\n"
    )


def test_cues_are_in_order_of_time_and_cut_at_the_beginning() -> None:
    cues = [
        Cue(3, 3_661_001, 3_662_000, "B", ""),
        Cue(2, -500, 700, "A", "cut"),
        Cue(1, -2_000, -500, "A", "before"),
        Cue(4, 900, 900, "A", "no time"),
        Cue(5, 0, 10, "A", "same begin"),
    ]
    lines = webvtt(cues, "de").splitlines()
    assert [line for line in lines if "-->" in line] == [
        "00:00:00.000 --> 00:00:00.700",
        "00:00:00.000 --> 00:00:00.010",
        "01:01:01.001 --> 01:01:02.000",
    ]
    assert lines[-1] == "<v B>[…]</v>"


def test_without_cues_it_is_a_file_all_the_same() -> None:
    assert webvtt([], "und\nX: y") == "WEBVTT\nKind: captions\nLanguage: und X: y\n"
