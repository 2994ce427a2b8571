// Tests read what people read.
import { useLanguage } from "@/i18n";

if (typeof localStorage !== "undefined") await useLanguage("en");
