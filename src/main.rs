fn main() {
    std::process::exit(ringway::control::start::main(std::env::args_os()));
}
